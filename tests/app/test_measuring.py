"""Measures of hearing: conversations on a virtual clock, rows that are kept, figures of them."""

import json
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli import eval_hearing as command
from app.endpointing import SEMANTIC, AudioInputSettings
from app.measuring import barge_in, echoes, invented, turns, words
from app.measuring.parts import Item, Part, measured, pink, room, spoken_turns
from app.measuring.virtual import Conversation, Stopwatch, TimedRecognizer, VirtualClock
from app.settings import SessionSettings
from app.turn_ending import ASKED_MS
from data.audio import SAMPLE_RATE, write_audio
from data.errors import InputError
from data.recognition.recognizer import Hypothesis
from data.recognition.whisper import Transcript
from tests.app.user_sound import speechlike


def done(value: Any) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(value)
    return future


class Hears:
    """In place of Whisper."""

    languages = ("en", "zh")

    def __init__(self, text: str = "I won the race.") -> None:
        self.text = text
        self.seconds: list[float] = []

    def submit(self, samples: np.ndarray, *_: Any, **__: Any) -> "Future[Transcript]":
        self.seconds.append(len(samples) / SAMPLE_RATE)
        return done(Transcript(self.text, "en", 0.9))

    def recognise_quickly(
        self, samples: np.ndarray, language: str, whole: bool
    ) -> "Future[Hypothesis]":
        return done(Hypothesis(self.text, 0.9))


class Judges:
    def __init__(self, finished: float) -> None:
        self.finished = finished

    def judge(self, samples: np.ndarray) -> "Future[float]":
        return done(self.finished)


LISTENS = SessionSettings(create_response=False, audio_input=AudioInputSettings(detection=SEMANTIC))
TALKS = SessionSettings(audio_input=AudioInputSettings(detection=SEMANTIC))


def said(*parts: float) -> np.ndarray:
    """Speech and silence by turns, seconds each, after half a second of silence."""
    sounds = [speechlike(s) if n % 2 == 0 else room(s, n) for n, s in enumerate(parts)]
    return np.concatenate([room(0.5, 9), *sounds])


def conversation(finished: float, settings: SessionSettings = LISTENS, **rest: Any) -> Conversation:
    recognizer: Any = Hears(rest.pop("text", "I won the race."))
    judge: Any = Judges(finished)
    return Conversation(recognizer, judge, settings, **rest)


class HalfASecond(Stopwatch):
    """Whatever is measured took half a second."""

    def read(self) -> tuple[float, float]:
        return 0.5, 0.5


class Passing(Stopwatch):
    """Each reading is half a second after the one before."""

    def __init__(self) -> None:
        self._now = 0.0

    def read(self) -> tuple[float, float]:
        self._now += 0.5
        return self._now, self._now


class HearsInStages(Hears):
    """Its second stage begins after half a second and takes as long."""

    def submit(
        self, samples: np.ndarray, *_: Any, given_up: Callable[[], bool], **__: Any
    ) -> "Future[Transcript]":
        assert not given_up()
        return super().submit(samples)


def test_a_future_is_known_when_its_time_has_come() -> None:
    clock = VirtualClock()
    late, soon = clock.later(0.5, "late"), clock.later(0.1, "soon")
    clock.advance(0.2)
    assert soon.result(0) == "soon" and not late.done()
    clock.advance(0.4)
    assert late.result(0) == "late"


def test_final_recognitions_wait_for_each_other_and_not_for_partial_ones() -> None:
    inner: Any = Hears()
    clock = VirtualClock()
    recognizer = TimedRecognizer(inner, clock, HalfASecond)
    utterances = [recognizer.open(), recognizer.open()]
    utterances[0].push(np.zeros(SAMPLE_RATE, np.float32))
    assert not recognizer.idle
    clock.advance(0.01)
    texts = [one.finish() for one in utterances]
    assert [one.waited_s for one in recognizer.taken] == pytest.approx([0.0, 0.5])
    clock.advance(0.51)
    assert [text.done() for text in texts] == [True, False]
    clock.advance(0.5)
    assert texts[1].result(0) == "I won the race." and recognizer.idle


@pytest.mark.parametrize(("given_up", "waited_s"), [(True, 0.0), (False, 0.4)])
def test_a_recognition_that_is_given_up_ends_with_its_stage(
    given_up: bool, waited_s: float
) -> None:
    inner: Any = HearsInStages()
    clock = VirtualClock()
    recognizer = TimedRecognizer(inner, clock, Passing)
    first, second = recognizer.open(), recognizer.open()
    first.finish()
    clock.advance(0.1)
    if given_up:
        first.abort()
    clock.advance(0.5)
    second.finish()
    assert recognizer.taken[1].waited_s == pytest.approx(waited_s)


@pytest.mark.parametrize(
    ("finished", "pause_s", "num"), [(1.0, 1.2, 2), (0.0, 1.2, 1), (0.0, 0.4, 1), (1.0, 0.15, 1)]
)
def test_a_turn_is_cut_where_the_judge_is_wrong(finished: float, pause_s: float, num: int) -> None:
    with conversation(finished) as one:
        one.push_audio(said(1.0, pause_s, 1.0, 5.0))
        assert len(one.turns()) == num
        assert one.recognizer.taken and one.judge.judged


def test_the_judge_is_queried_again_as_silence_grows() -> None:
    with conversation(0.0) as one:
        one.push_audio(said(1.0, 3.0))
        asked = [1000 * (at - one.judge.judged[0][0]) for at, _ in one.judge.judged]
        assert np.allclose(asked, np.array(ASKED_MS) - ASKED_MS[0], atol=50)


@pytest.mark.parametrize(("text", "stopped"), [("Wait a moment", True), ("Mm-hm.", False)])
def test_the_agent_is_stopped_by_words_alone(text: str, stopped: bool) -> None:
    agent = np.resize(speechlike(2.0, 180.0), 6 * SAMPLE_RATE)
    with conversation(1.0, TALKS, agent=agent, text=text) as one:
        one.begin()
        one.push_audio(np.concatenate([room(1.0, 1), speechlike(0.8), room(1.5, 2)]))
        stops = [e["at"] for e in one.of("stop") if e["reason"] == "interrupted"]
        assert bool(stops) is stopped
        assert all(1.0 < at < 2.0 for at in stops)


def test_the_loudspeaker_comes_back_after_its_delay() -> None:
    agent = np.resize(speechlike(2.0, 180.0), 3 * SAMPLE_RATE)
    with conversation(1.0, TALKS, agent=agent, echo=(0.5, 0.15)) as one:
        heard: list[np.ndarray] = []
        listen = one._session._user.listen
        one._session._user.listen = lambda sound: heard.append(sound.copy()) or listen(sound)
        one.begin()
        one.push_audio(np.zeros(2 * SAMPLE_RATE, np.float32))
        sound = np.concatenate(heard)
        start = np.flatnonzero(sound)[0]
        assert 0.15 <= start / SAMPLE_RATE < 0.3
        assert np.allclose(
            sound[start : start + 960], 0.5 * agent[np.flatnonzero(agent)[0] :][:960]
        )


def test_rows_are_kept_and_go_on(tmp_path: Path) -> None:
    asked: list[int] = []

    def item(number: int) -> Item:
        return Item(str(number), lambda: asked.append(number) or {"number": number})

    part = Part("try", [item(number) for number in range(5)], lambda rows: [])
    assert measured(part, tmp_path, time.monotonic() - 1) == []
    rows = measured(part, tmp_path, time.monotonic() + 60)
    assert [row["number"] for row in rows] == list(range(5))
    with (tmp_path / "try.jsonl").open("a") as file:
        file.write('{"key": "bro')  # it was killed
    assert [row["number"] for row in measured(part, tmp_path, time.monotonic() + 60)] == asked
    assert asked == list(range(5))


def test_words_are_counted_and_timed() -> None:
    row = {"language": "en", "noisy": False, "errors": 1, "num": 20, "found": "en", "load": 1.0}
    late = {"wall_ms": 100.0, "cpu_ms": 150.0, "asked_ms": 200.0, "final_ms": 300.0}
    figures = {f.key: f for f in words._figures([{**row, **late}, {**row, "errors": 0, **late}])}
    assert figures["wrong_en"].value == pytest.approx(2.5)
    assert figures["wrong_zh"].num == 0 and figures["wrong_zh"].meets_bar is False
    assert figures["final_ms"].value == 300.0 and figures["final_ms"].meets_bar


def test_a_turn_that_ends_in_its_pause_is_cut() -> None:
    row = {"language": "en", "kind": "filler", "pause_s": 1.0, "pause_at": 2.0, "end_at": 5.0}
    rows = [
        {**row, "known_at": [5.3], "fixed": [2.5, 5.5]},
        {**row, "known_at": [2.3, 5.2], "fixed": [2.5, 5.5]},
        {**row, "known_at": [2.9, 5.4], "fixed": [5.5]},
        {**row, "known_at": [5.3], "fixed": [5.5]},
    ]
    figures = {figure.key: figure for figure in turns._figures(rows)}
    assert figures["turns_cut"].value == 50.0
    assert figures["fixed_cut"].value == 50.0
    assert figures["turns_known"].value == pytest.approx(300.0)
    assert figures["answered"].value == 25.0  # at 2.9 s, reopened at 3.0 s, nothing was heard


def test_interruptions_must_be_obeyed_in_time() -> None:
    """Silence counts, if the agent does not go on after it."""
    times = ((300.0, 300.0), (900.0, 390.0), (500.0, 500.0), (None, 350.0), (None, None))
    words = {"kind": "interruption", "paused_ms": []}
    rows = [{**words, "stopped_ms": stopped, "silent_ms": silent} for stopped, silent in times]
    assent = {"kind": "assent", "stopped_ms": None, "silent_ms": None, "paused_ms": []}
    rows += [assent, {**assent, "paused_ms": [400.0]}, {**assent, "stopped_ms": 350.0}, assent]
    figures = {figure.key: figure.value for figure in barge_in._figures(rows)}
    assert figures["obeyed"] == 40.0 and figures["ever"] == 60.0
    assert figures["stopped"] == 25.0 and figures["paused"] == 25.0 and figures["pause"] == 400.0
    assert figures["after"] == 370.0 and figures["known"] == 500.0


def test_echoes_and_invented_words_are_summed() -> None:
    echo = {"seconds": 20.0, "stopped": 0, "begun": 1, "ducked": 2, "heard": []}
    assert [figure.value for figure in echoes._figures([echo, echo])] == [2.0, 4.0]
    heard = {"seconds": 30.0, "num": 2, "begun": 1, "num_alone": 3}
    assert [figure.value for figure in invented._figures([heard, heard])] == [4.0, 2.0, 6.0]


@pytest.mark.parametrize("kind", list(invented._SOUNDS))
def test_every_sound_is_finite_and_lasts(kind: str) -> None:
    sound = invented._SOUNDS[kind](np.random.default_rng(1))
    assert sound.shape == (invented._NUM,) and np.isfinite(sound).all()
    assert (kind == "silence") == (np.abs(sound).max() == 0)


@pytest.mark.parametrize("what", barge_in._BODILY)
def test_coughs_and_laughter_are_short_and_audible(what: str) -> None:
    for number in range(5):
        sound = barge_in._bodily(what, number)
        assert 0.3 < len(sound) / SAMPLE_RATE < 1.4 and 0.2 < np.abs(sound).max() < 0.3


def test_pink_noise_has_unit_level() -> None:
    assert np.std(pink(48_000, 1)) == pytest.approx(1.0, abs=0.01)


def corpus(folder: Path, language: str) -> Path:
    dialogue = folder / "0"
    dialogue.mkdir(parents=True)
    names = ("0_0_d0", "1_1_d0")
    for name in names:
        write_audio(dialogue / f"{name}.wav", speechlike(1.5))
        (dialogue / f"{name}.txt").write_text("No one ran along a long lane.")
    voices = ("kokoro-af_kore", "kokoro-af_heart")  # held out, and not
    turn = {"text": "No one ran along a long lane.", "sample_rate": SAMPLE_RATE, "duration": 1.5}
    utterances = {str(n): {**turn, "index": n, "speaker": n, "voice": voices[n]} for n in range(2)}
    told = {"topic": "lanes", "language": language, "dialog": 0, "utterents": utterances}
    (dialogue / "metadata.json").write_text(json.dumps(told))
    return folder


def test_held_out_turns_alone_are_taken(tmp_path: Path) -> None:
    found = spoken_turns([corpus(tmp_path / "one", "en")], "en")
    assert [turn.extra["voice"] for turn in found] == ["kokoro-af_kore"]
    with pytest.raises(InputError, match="no held-out speech in 'zh'"):
        spoken_turns([tmp_path / "one"], "zh")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "/nowhere"], "is not a folder"),
        (["--data", ".", "--parts", "words,wrods"], "unknown measure 'wrods'"),
        (["--data", ".", "--parts", "Words"], "takes words, turns"),
    ],
)
def test_options_are_checked(options: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        command.main([*options, "--out", str(tmp_path)])
