"""Word errors in the chat's transcripts, clean and in noise, and their latency."""

import random
from collections.abc import Sequence

import numpy as np

from app.endpointing import SEMANTIC, AudioInputSettings
from app.measuring.parts import Bench, Item, Part, Row, pink, room, sound_of, spoken_turns
from app.measuring.virtual import Conversation
from app.settings import SessionSettings
from data.audio import SAMPLE_RATE
from data.dialogue import Turn
from data.languages import LANGUAGE_NAMES
from models.evaluation.bars import FigureBars, at_most
from models.evaluation.figures import Figure, quantile, ratio
from models.evaluation.words import WORD_ERRORS, word_errors

_COUNT = 60
_BEFORE_S, _AFTER_S = 0.5, 5.0
_NOISE_DB = 10.0
_BARS = {
    ("en", False): FigureBars(bar=at_most(4.0)),
    ("zh", False): FigureBars(bar=at_most(8.0)),
    ("en", True): FigureBars(bar=at_most(10.0)),
    ("zh", True): FigureBars(bar=at_most(15.0)),
}
_FINAL = FigureBars(bar=at_most(350.0))


def words(bench: Bench) -> Part:
    """Held-out turns spoken into the microphone, each clean and in noise."""
    items = []
    for language in LANGUAGE_NAMES:
        turns = spoken_turns(bench.folders, language)
        random.Random(bench.seed).shuffle(turns)
        for number, turn in enumerate(turns[: bench.count or _COUNT]):
            items += [_item(bench, turn, language, noisy, number) for noisy in (False, True)]
    return Part("words", items, _figures)


def _item(bench: Bench, turn: Turn, language: str, noisy: bool, number: int) -> Item:
    assert turn.audio is not None
    name = f"{language} {turn.audio.parent.name}/{turn.audio.name}" + " noise" * noisy
    return Item(name, lambda: _heard(bench, turn, language, noisy, number))


def _heard(bench: Bench, turn: Turn, language: str, noisy: bool, number: int) -> Row:
    said = sound_of(turn)
    sound = room(_BEFORE_S + len(said) / SAMPLE_RATE + _AFTER_S, number)
    start = round(_BEFORE_S * SAMPLE_RATE)
    sound[start : start + len(said)] += said
    if noisy:
        level = np.sqrt(np.mean(np.square(said))) * 10 ** (-_NOISE_DB / 20)
        sound += level * pink(len(sound), number)
    settings = SessionSettings(
        create_response=False, audio_input=AudioInputSettings(detection=SEMANTIC)
    )
    with Conversation(bench.recognizer, bench.judge, settings) as conversation:
        conversation.push_audio(sound)
        turns, taken = conversation.turns(), conversation.recognizer.taken
    text = " ".join(one["text"] for one in turns)
    written = (turn.text, turn.extra.get("spoken", turn.text))  # numbers as digits, and as words
    errors, num = min(word_errors(one, text, language) for one in written)
    row: Row = {"language": language, "noisy": noisy, "errors": errors, "num": num}
    row |= {"said": turn.text, "heard": text, "turns": len(turns)}
    if turns and taken:
        last = taken[-1]
        row["found"] = last.transcript.language
        row["wall_ms"], row["cpu_ms"] = 1000 * last.wall_s, 1000 * last.cpu_s
        row["asked_ms"] = 1000 * (last.at - turns[-1]["speech_end"] / SAMPLE_RATE)
        row["waited_ms"] = 1000 * last.waited_s
        row["final_ms"] = row["asked_ms"] + row["waited_ms"] + row["wall_ms"]
    return row


def _figures(rows: Sequence[Row]) -> list[Figure]:
    figures = []
    for (language, noisy), bar in _BARS.items():
        some = [row for row in rows if (row["language"], row["noisy"]) == (language, noisy)]
        where = f"; {LANGUAGE_NAMES[language]}" + (f", noise at {_NOISE_DB:g} dB" if noisy else "")
        key = f"{language}{'_noise' if noisy else ''}"
        errors, num = [row["errors"] for row in some], [row["num"] for row in some]
        label = WORD_ERRORS[language] + where
        figures.append(ratio(f"wrong_{key}", label, errors, num, unit="%", scale=100, **bar))
        right = [row.get("found") == language for row in some]
        label = f"language identified{where}"
        figures.append(ratio(f"found_{key}", label, right, unit="%", scale=100))
    timed = [row for row in rows if "final_ms" in row and not row["noisy"]]
    if timed:
        load = float(np.median([row["load"] for row in timed]))
        note = f"(wall clock, load {load:.1f})"
        for key, label, bar in (
            ("asked_ms", "end of speech to start of recognition, median", FigureBars()),
            ("wall_ms", "recognition, median", FigureBars()),
            ("cpu_ms", "recognition, CPU time of all threads, median", FigureBars()),
            ("final_ms", f"end of speech to final transcript, median {note}", _FINAL),
        ):
            figures.append(quantile(key, label, [r[key] for r in timed], 0.5, unit="ms", **bar))
    return figures
