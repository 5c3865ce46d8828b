"""Barge-in: backchannels must not stop the agent, interruptions must, within 400 ms."""

import random
from collections.abc import Sequence

import numpy as np

from app.endpointing import SEMANTIC, AudioInputSettings
from app.measuring.parts import Bench, Item, Part, Row, room, sound_of, spoken_turns
from app.measuring.virtual import Conversation
from app.settings import SessionSettings
from data.audio import SAMPLE_RATE, resample
from data.synthetic.kokoro.engine import Delivery, teacher
from data.synthetic.kokoro.voices import kokoro_voices
from data.synthetic.manner import NATURAL_MANNERS
from data.synthetic.phones import PAUSE
from models.evaluation.bars import FigureBars, at_least, at_most
from models.evaluation.figures import Figure, quantile, ratio

_COUNT = 100  # items of each kind
_AGENT_S = 6.0
_BEFORE_S, _AFTER_S = 1.2, 1.5  # the agent alone, before and after the user's speech
_WITHIN_MS = 400.0
_MANDARIN_SHARE = 0.25
_STOPPED, _OBEYED = FigureBars(bar=at_most(5.0)), FigureBars(bar=at_least(98.0))
_ASSENT = {
    "en": (
        "Mm-hm.", "Yeah.", "Right.", "Okay.", "Uh-huh.", "I see.", "Oh, really?", "Wow.", "Sure.",
        "Yes.", "Oh.", "Yeah, yeah.", "True.", "Ah.", "Exactly.",
    ),
    "zh": ("嗯。", "对。", "是的。", "好的。", "哦。", "嗯嗯。", "对对。"),
}  # fmt: skip
_INTERRUPTIONS = {
    "en": (
        "Wait, wait.", "Stop.", "No, that is wrong.", "Hold on a second.", "Can I ask something?",
        "Actually, I meant Tuesday.", "What about the other one?", "Excuse me.", "Please stop.",
        "But I have been there already.", "How much does it cost?", "Never mind.",
    ),
    "zh": (
        "等一下。", "不对，不是这个。", "停一下。", "我想问一个问题。", "那价格呢？",
        "我不是这个意思。",
    ),
}  # fmt: skip
_SPELLED = {"Mm-hm.": "Um-hum."}  # the teacher would say the letters
_BODILY = ("cough", "laughter")


def barge_in(bench: Bench) -> Part:
    """Backchannels and interruptions spoken over held-out speech of the agent."""
    num = bench.count or _COUNT
    items = []
    for kind, texts in (("assent", _ASSENT), ("interruption", _INTERRUPTIONS)):
        for number in range(num):
            language = "zh" if number < num * _MANDARIN_SHARE else "en"
            text = texts[language][number % len(texts[language])]
            if kind == "assent" and number >= num * 0.9:
                text = _BODILY[number % len(_BODILY)]
            items.append(_item(bench, kind, language, text, number))
    return Part("barging", items, _figures)


def _item(bench: Bench, kind: str, language: str, text: str, number: int) -> Item:
    key = f"{bench.seed} {kind} {number} {text}"
    return Item(key, lambda: _said_over(bench, kind, language, text, number))


def _said_over(bench: Bench, kind: str, language: str, text: str, number: int) -> Row:
    rng = random.Random(f"{bench.seed} {kind} {number}")
    said = _bodily(text, number) if text in _BODILY else _spoken(text, language, number, rng)
    others = spoken_turns(bench.folders, language)
    agent = np.concatenate([sound_of(turn) for turn in rng.sample(others, 4)])
    sound = room(_BEFORE_S + len(said) / SAMPLE_RATE + _AFTER_S, number)
    start = round(_BEFORE_S * SAMPLE_RATE)
    sound[start : start + len(said)] += said
    settings = SessionSettings(audio_input=AudioInputSettings(detection=SEMANTIC))
    long = np.resize(agent, round(_AGENT_S * SAMPLE_RATE))
    words = {"en": "Well, let me tell you.", "zh": "我来告诉你。"}[language]
    with Conversation(bench.recognizer, bench.judge, settings, long, text=words) as conversation:
        conversation.begin()
        conversation.push_audio(sound)
        stops = [e["at"] for e in conversation.of("stop") if e["reason"] == "interrupted"]
        holds = [e["at"] for e in conversation.of("duck") if e["gain"] == 0]
        resumed = [e["at"] for e in conversation.of("restore")]
        resumed += [e["at"] for e in conversation.of("duck") if e["gain"] > 0]
        hypotheses = conversation.recognizer.hypotheses
    row: Row = {"kind": kind, "language": language, "text": text, "glanced": hypotheses}
    row["stopped_ms"] = 1000 * (stops[0] - _BEFORE_S) if stops else None
    row["silent_ms"] = 1000 * (min(holds + stops) - _BEFORE_S) if holds or stops else None
    row["paused_ms"] = [
        1000 * (min(at for at in resumed if at > held) - held)
        for held in holds
        if any(at > held for at in resumed)
    ]
    return row


def _spoken(text: str, language: str, number: int, rng: random.Random) -> np.ndarray:
    """Synthesises a text in a held-out voice, `[T]` at 24 kHz, trimmed at both ends."""
    named = [name for name, v in kokoro_voices().items() if v.held_out and v.language == language]
    voice = kokoro_voices()[rng.choice(named)]
    text = _SPELLED.get(text, text)
    spoken = teacher().speak([Delivery(voice, text, NATURAL_MANNERS["neutral"], number)])[0]
    samples = resample(spoken.samples, int(spoken.sample_rate), SAMPLE_RATE)
    sounding = [phone for phone in spoken.phones if phone[0] != PAUSE]
    samples = samples[round(sounding[0][1] * SAMPLE_RATE) : round(sounding[-1][2] * SAMPLE_RATE)]
    return (0.07 / np.sqrt(np.mean(np.square(samples))) * samples).astype(np.float32)


def _bodily(what: str, number: int) -> np.ndarray:
    """A synthetic cough or laughter, `[T]` at 24 kHz: noise bursts shaped by three formants."""
    rng = np.random.default_rng(number)
    laughs = what == "laughter"
    bursts = int(rng.integers(3, 6)) if laughs else int(rng.integers(1, 3))
    every, decay = (0.2, 18.0) if laughs else (0.35, 14.0)
    time = np.arange(round((bursts * every + 0.1) * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = np.exp(-decay * (time % every)) * (time < bursts * every)
    noise = rng.standard_normal(len(time))
    voiced = np.sign(np.sin(2 * np.pi * rng.uniform(120, 260) * time)) if laughs else 0.0
    spectrum = np.fft.rfft(noise + voiced)
    hz = np.fft.rfftfreq(len(time), 1 / SAMPLE_RATE)
    throat = sum(np.exp(-(((hz - at) / 250) ** 2)) for at in (600, 1300, 2600))
    sound = envelope * np.fft.irfft(spectrum * throat, len(time))
    return (0.25 * sound / np.abs(sound).max()).astype(np.float32)


def _figures(rows: Sequence[Row]) -> list[Figure]:
    assent = [row for row in rows if row["kind"] == "assent"]
    words = [row for row in rows if row["kind"] == "interruption"]
    stopped = [row["stopped_ms"] is not None for row in words]
    obeyed = [row["stopped_ms"] is not None and row["silent_ms"] <= _WITHIN_MS for row in words]
    label = (
        f"interruptions that silence the agent for good, within {_WITHIN_MS:g} ms of their onset"
    )
    pauses = [ms for row in assent for ms in row["paused_ms"]]
    silences = [row["silent_ms"] for row in words if row["silent_ms"] is not None]
    stops = [row["stopped_ms"] for row in words if row["stopped_ms"] is not None]
    return [
        ratio("stopped", "backchannels that stop the agent",
              [row["stopped_ms"] is not None for row in assent], unit="%", scale=100, **_STOPPED),
        ratio("paused", "backchannels during which it pauses, then plays on",
              [bool(row["paused_ms"]) for row in assent], unit="%", scale=100),
        quantile("pause", "such a pause, median", pauses, 0.5, unit="ms"),
        ratio("obeyed", label, obeyed, unit="%", scale=100, **_OBEYED),
        ratio("ever", "interruptions that stop the agent at all", stopped, unit="%", scale=100),
        quantile("after", "onset to silence, median", silences, 0.5, unit="ms"),
        quantile("known", "onset to the end of the answer, median", stops, 0.5, unit="ms"),
    ]  # fmt: skip
