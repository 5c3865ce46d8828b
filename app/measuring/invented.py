"""Hallucinated words: ten minutes of noise, music and silence without speech."""

from collections.abc import Callable, Sequence

import numpy as np

from app.endpointing import SEMANTIC, AudioInputSettings
from app.measuring.parts import Bench, Item, Part, Row, pink, room
from app.measuring.virtual import Conversation
from app.settings import SessionSettings
from data.audio import SAMPLE_RATE
from models.evaluation.bars import FigureBars, at_most
from models.evaluation.figures import Figure, ratio
from models.evaluation.words import words_of

_COUNT = 20
_ITEM_S = 30.0
_NUM = round(_ITEM_S * SAMPLE_RATE)
_TIME = np.arange(_NUM) / SAMPLE_RATE


def invented(bench: Bench) -> Part:
    """Items of 30 s, cycling through the kinds of sound, at random levels."""
    num = bench.count or _COUNT
    kinds = list(_SOUNDS)
    items = [
        Item(
            f"{bench.seed} {number} {kinds[number % len(kinds)]}",
            lambda number=number: _heard(bench, kinds[number % len(kinds)], number),
        )
        for number in range(num)
    ]
    return Part("invented", items, _figures)


def _heard(bench: Bench, kind: str, number: int) -> Row:
    rng = np.random.default_rng([bench.seed, number])
    sound = np.clip(_SOUNDS[kind](rng), -1, 1).astype(np.float32) + room(_ITEM_S, number)
    settings = SessionSettings(
        create_response=False, audio_input=AudioInputSettings(detection=SEMANTIC)
    )
    with Conversation(bench.recognizer, bench.judge, settings) as conversation:
        conversation.push_audio(np.concatenate([sound, room(5.0, number)]))
        text = " ".join(turn["text"] for turn in conversation.turns())
        begun = len(conversation.of("speech.started"))
    alone = bench.recognizer.submit(sound, None, final=True, times=False).result().text
    return {
        "kind": kind, "seconds": _ITEM_S, "heard": text, "num": len(words_of(text, "en")),
        "begun": begun, "alone": alone, "num_alone": len(words_of(alone, "en")),
    }  # fmt: skip


def _level(rng: np.random.Generator) -> float:
    return 10 ** (rng.uniform(-40, -12) / 20)


def _hiss(rng: np.random.Generator) -> np.ndarray:
    return _level(rng) * rng.standard_normal(_NUM)


def _street(rng: np.random.Generator) -> np.ndarray:
    """Pink noise that swells and fades like passing cars."""
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(0.05, 0.3) * _TIME + rng.uniform(0, 6))
    return _level(rng) * swell * pink(_NUM, int(rng.integers(1 << 30)))


def _fan(rng: np.random.Generator) -> np.ndarray:
    hum = sum(np.sin(2 * np.pi * k * 50 * _TIME + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5))
    return _level(rng) * (hum + 0.5 * pink(_NUM, int(rng.integers(1 << 30))))


def _typing(rng: np.random.Generator) -> np.ndarray:
    """Irregular keystrokes."""
    sound = np.zeros(_NUM)
    at = 0
    while (at := at + int(rng.gamma(2.0, 0.09) * SAMPLE_RATE)) < _NUM - 2400:
        click = rng.standard_normal(2400) * np.exp(-np.arange(2400) / rng.uniform(120, 400))
        sound[at : at + 2400] += click
    return _level(rng) * 2 * sound


def _silence(rng: np.random.Generator) -> np.ndarray:
    return np.zeros(_NUM)


def _tune(rng: np.random.Generator, voices: int, vibrato: float) -> np.ndarray:
    """Random notes of a major scale on plucked strings, or bowed ones with `vibrato`."""
    scale = 220 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
    sound = np.zeros(_NUM)
    for voice in range(voices):
        at = 0
        while at < _NUM:
            num = int(rng.choice([0.2, 0.4, 0.8]) * SAMPLE_RATE)
            time = np.arange(min(num, _NUM - at)) / SAMPLE_RATE
            hz = rng.choice(scale) * 2.0 ** int(rng.integers(-1, 2))
            phase = 2 * np.pi * hz * (time + vibrato * np.sin(2 * np.pi * 5.5 * time) / 200)
            note = sum(np.sin(k * phase) / k**1.3 for k in range(1, 8))
            attack = np.minimum(1, time / 0.03) if vibrato else np.exp(-4 * time)
            sound[at : at + len(time)] += note * attack / (1 + voice)
            at += num
    return _level(rng) * sound


def _drums(rng: np.random.Generator) -> np.ndarray:
    beat = rng.uniform(0.25, 0.5)
    hit = np.exp(-12 * (_TIME % beat)) * rng.standard_normal(_NUM)
    kick = np.exp(-9 * (_TIME % (2 * beat))) * np.sin(2 * np.pi * 60 * _TIME)
    return _level(rng) * (hit + 2 * kick)


_SOUNDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "hiss": _hiss,
    "street": _street,
    "fan": _fan,
    "typing": _typing,
    "silence": _silence,
    "plucked strings": lambda rng: _tune(rng, 2, 0.0),
    "bowed strings": lambda rng: _tune(rng, 1, 0.4),
    "an ensemble": lambda rng: _tune(rng, 3, 0.3),
    "drums": _drums,
    "a band": lambda rng: _drums(rng) + _tune(rng, 3, 0.2),
}


def _figures(rows: Sequence[Row]) -> list[Figure]:
    minutes = sum(row["seconds"] for row in rows) / 60
    scale = len(rows) or 1
    return [
        ratio("invented", f"words hallucinated in {minutes:.0f} minutes", [r["num"] for r in rows],
              scale=scale, **FigureBars(bar=at_most(2.0))),
        ratio("begun", "speech onsets detected", [r["begun"] for r in rows],
              scale=scale),
        ratio("alone", "words hallucinated by the recogniser without voice activity detection",
              [r["num_alone"] for r in rows], scale=scale),
    ]  # fmt: skip
