"""The Whisper recogniser: partial and final results, aborts, and its fallback."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app.endpointing import RingBuffer
from app.turn_recognition import TurnRecognition
from data.audio import SAMPLE_RATE
from data.errors import InputError, MissingModelError
from data.recognition import local as chosen
from data.recognition.local import local_recognizer
from data.recognition.whisper import Transcript, Word
from data.recognition.whisper_recognizer import Agreement, WhisperRecognizer
from tests.app.stage import FakeRecognizer

WORDS = "Good morning, how far is it from here?".split()


class SlowWhisper:
    """Recognises a word per second, and can be made to wait."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.calls: list[dict[str, Any]] = []
        self.detected = ["en"]  # languages, the last one again and again

    def transcribe(self, samples: np.ndarray, language: str | None, **options: Any) -> Transcript:
        self.calls.append({"seconds": len(samples) / 16_000, "language": language, **options})
        assert self.gate.wait(10)
        heard = WORDS[: round(len(samples) / 16_000)]
        words = tuple(Word(word, i, i + 1.0, 0.9) for i, word in enumerate(heard))
        found = self.detected.pop(0) if len(self.detected) > 1 else self.detected[0]
        return Transcript(" ".join(heard), language or found, 0.9, words)


@pytest.fixture
def whisper(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[WhisperRecognizer, SlowWhisper]]:
    model = SlowWhisper()
    monkeypatch.setattr("data.recognition.whisper_recognizer.Whisper", lambda folder, **_: model)
    monkeypatch.setattr(
        "data.recognition.whisper_recognizer.find_whisper", lambda name, download: name
    )
    recognizer = WhisperRecognizer()
    yield recognizer, model
    model.gate.set()
    recognizer.close()


def second() -> np.ndarray:
    return np.zeros(SAMPLE_RATE, np.float32)


def settle(recognizer: WhisperRecognizer) -> None:
    for pool in (recognizer._pool, recognizer._partial_pool):
        pool.submit(lambda: None).result(10)


def test_partial_words_come_during_speech(whisper) -> None:
    recognizer, _ = whisper
    utterance = recognizer.open()
    partials = []
    for _ in range(4):
        utterance.push(second())
        settle(recognizer)
        partials.append(utterance.partial)
    assert partials == ["", "Good", "Good morning,", "Good morning, how"]
    assert utterance.finish().result(10) == "Good morning, how far"
    assert utterance.words is None


@pytest.mark.parametrize(
    ("detected", "asked"),
    [
        (["en", "en"], [None, None, "en", "en"]),
        (["zh", "en", "en"], [None, None, None, "en"]),
        (["zh", "en", "zh"], [None, None, None, None]),
    ],
)
def test_two_looks_that_agree_settle_the_language(whisper, detected, asked) -> None:
    recognizer, model = whisper
    model.detected = detected
    utterance = recognizer.open()
    for _ in range(3):
        utterance.push(second())
        settle(recognizer)
    utterance.finish().result(10)
    assert [call["language"] for call in model.calls] == asked


def test_partial_results_are_skipped_while_the_model_is_busy(whisper) -> None:
    recognizer, model = whisper
    model.gate.clear()
    utterance = recognizer.open()
    for _ in range(5):
        utterance.push(second())
    model.gate.set()
    assert utterance.finish().result(10) == "Good morning, how far is"
    assert len(model.calls) == 2  # one look and the end, not five


def test_the_end_does_not_wait_for_a_partial_recognition(whisper) -> None:
    recognizer, model = whisper
    model.gate.clear()
    utterance = recognizer.open()
    utterance.push(second())
    while not model.calls:
        time.sleep(0.01)
    look, model.gate = model.gate, threading.Event()
    model.gate.set()
    assert utterance.finish().result(10) == "Good"
    look.set()


def test_timestamps_and_language_are_given_on_request(whisper) -> None:
    recognizer, model = whisper
    utterance = recognizer.open("zh", times=True)
    utterance.push(second())
    assert utterance.finish().result(10) == "Good"
    assert (utterance.words, utterance.language) == ((("Good", 0, 1.0),), "zh")
    assert ("zh", True) in [(one["language"], one["word_times"]) for one in model.calls]


def test_utterances_aborted_while_waiting_are_never_processed(whisper) -> None:
    recognizer, model = whisper
    model.gate.clear()
    first, second_one = recognizer.open(), recognizer.open()
    for utterance in (first, second_one):
        utterance.push(second()[:100])
        utterance.finish()
    second_one.abort()
    model.gate.set()
    first.finish().result(10)
    settle(recognizer)
    assert len(model.calls) == 1
    assert second_one.finish().result(10) == ""


def test_recognition_stops_once_it_is_superseded(whisper) -> None:
    recognizer, model = whisper
    model.gate.clear()
    utterance = recognizer.open()
    utterance.push(second())
    while not model.calls:
        time.sleep(0.01)
    look = model.calls[0]["given_up"]
    assert not look()
    text = utterance.finish()
    assert look()  # the end is waited for now
    model.gate.set()
    assert text.result(10) == "Good"
    end = model.calls[1]["given_up"]
    assert not end()
    utterance.abort()
    assert end()


def test_errors_are_raised_by_the_text(whisper) -> None:
    recognizer, model = whisper
    model.transcribe = lambda *_, **__: 1 / 0
    utterance = recognizer.open()
    utterance.push(second()[:100])
    with pytest.raises(ZeroDivisionError):
        utterance.finish().result(10)


@pytest.mark.parametrize(
    ("hypotheses", "agreed"),
    [
        (["I"], ""),
        (["I", "I think"], "I"),
        (["I think", "I thank you", "I thank you all"], "I thank you"),
        (["Good morning", "good morning, sir"], "good morning,"),
        (["a b c d", "a b c d", "a"], "a b c d"),
        (["今天", "今天天气", "今天天气很好"], "今天天气"),
        (["", "", "yes", "yes"], "yes"),
    ],
)
def test_agreed_words_are_those_of_two_looks_and_never_fewer(hypotheses, agreed) -> None:
    agreement = Agreement()
    shown = [agreement.take(text) for text in hypotheses]
    assert shown[-1] == agreed
    assert [len(one) for one in shown] == sorted(len(one) for one in shown)


class WholeTurnRecognizer(FakeRecognizer):
    needs_whole_turn = True


def test_a_turn_that_continues_after_a_pause_is_recognised_as_a_whole() -> None:
    recognizer, memory = (
        WholeTurnRecognizer("What is the", "What is the capital of France?"),
        RingBuffer(60.0),
    )
    turn = TurnRecognition(0, 0, recognizer, memory)
    for end in (2, 5):
        memory.push(np.zeros((end - turn._fed // SAMPLE_RATE) * SAMPLE_RATE, np.float32))
        turn.feed(end * SAMPLE_RATE)
        turn.pause(end * SAMPLE_RATE, end * SAMPLE_RATE)
    turn.ended_at = 1.0
    assert turn.recognised
    assert turn.partial == "What is the capital of France?"
    assert [one.num_samples for one in recognizer.opened] == [2 * SAMPLE_RATE, 5 * SAMPLE_RATE]
    assert [one.aborted for one in recognizer.opened] == [True, False]


def test_all_stretches_of_a_long_turn_are_joined() -> None:
    recognizer, memory = WholeTurnRecognizer("One.", "Two."), RingBuffer(70.0)
    turn = TurnRecognition(0, 0, recognizer, memory)
    for end in (26, 50):
        memory.push(np.zeros(end * SAMPLE_RATE - turn._fed, np.float32))
        turn.feed(end * SAMPLE_RATE)
        turn.pause(end * SAMPLE_RATE, end * SAMPLE_RATE)
    turn.ended_at = 1.0
    assert turn.partial == "One. Two."


def test_shown_words_stay_while_a_turn_is_recognised_again() -> None:
    recognizer, memory = WholeTurnRecognizer("What is the"), RingBuffer(60.0)
    turn = TurnRecognition(0, 0, recognizer, memory)
    memory.push(second())
    turn.feed(SAMPLE_RATE)
    turn.pause(SAMPLE_RATE, SAMPLE_RATE)
    memory.push(second())
    turn.feed(2 * SAMPLE_RATE)
    assert turn.partial == "What is the"


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, download: bool) -> None:
        raise MissingModelError(f"the weights of Whisper {name!r} are not on this machine; do X")

    monkeypatch.setattr("data.recognition.whisper_recognizer.find_whisper", missing)


def test_without_weights_pocketsphinx_is_used_with_a_warning(no_weights, caplog) -> None:
    recognizer = local_recognizer()
    try:
        assert recognizer.name == "pocketsphinx"
        assert "English only" in recognizer.caveat
        assert "do X" in recognizer.caveat
        assert recognizer.caveat in caplog.text
    finally:
        recognizer.close()


@pytest.mark.parametrize("asked", [{"choice": "whisper"}, {"model": "base"}, {"language": "zh"}])
def test_explicitly_requested_whisper_is_not_replaced(no_weights, asked) -> None:
    with pytest.raises(MissingModelError, match="do X"):
        local_recognizer(**asked)


def test_pocketsphinx_rejects_mandarin() -> None:
    with pytest.raises(InputError, match="--asr whisper"):
        chosen.local_recognizer("pocketsphinx", language="zh")
