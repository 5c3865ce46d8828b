"""Several utterances decoded in one batch: as good as one by one."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.audio import resample
from data.errors import RepError
from data.recognition import whisper as module
from data.recognition.whisper import WHISPER_HZ, Whisper
from data.recognition.whisper_batch import batches, decode_batch
from data.recognition.whisper_weights import find_whisper
from tests.data.ncssd import made
from tests.data.recognition.test_whisper_doubt import GOOD, Windows, segment

SPOKEN = [(0.5, 3.0)]


@given(st.lists(st.integers(6, 30).map(lambda seconds: 100 * seconds)), st.integers(1, 9))
def test_batches_hold_each_utterance_once_with_others_of_similar_length(windows, size):
    groups = batches(windows, size, 3000)
    assert sorted(index for group in groups for index in group) == list(range(len(windows)))
    for group in groups:
        own = [windows[index] for index in group]
        assert len(group) <= size and max(own) <= 1.25 * min(own)
        assert len(group) == 1 or max(own) < 3000, "long ones take several windows"


def test_as_many_as_fit_share_a_batch():
    assert batches([600, 1200, 600, 700, 3000, 3000], 8, 3000) == [[0, 2, 3], [1], [4], [5]]
    assert [len(group) for group in batches([600] * 5, 2, 3000)] == [2, 2, 1]


class Recorder(Windows):
    """A model that also notes its options."""

    def __init__(self, texts: dict[int, tuple[str, float]]) -> None:
        super().__init__(texts)
        self.options: list[dict[str, Any]] = []

    def transcribe(self, samples: np.ndarray, **options: Any) -> tuple[list[Any], None]:
        self.options.append(options)
        return super().transcribe(samples, **options)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A model that finds a good sentence alone, in any window."""
    found = Recorder(dict.fromkeys((6, 12, 30), (f"{GOOD}.", 0.9)))
    monkeypatch.setattr(module, "_short_window_model", lambda: lambda *_, **__: found)
    monkeypatch.setattr(module, "_speech_spans", lambda samples: SPOKEN if samples.any() else [])
    return found


def in_batch(
    monkeypatch: pytest.MonkeyPatch, *firsts: list[Any], language: str = "en"
) -> tuple[list[str], dict[str, Any]]:
    """Texts of utterances for which a batch gives `firsts`, and the batch's options."""
    seen: dict[str, Any] = {}

    def decode(model: Any, sounds: list[np.ndarray], **options: Any) -> list[list[Any]]:
        seen.update(options, frames=model.window_frames)
        return list(firsts)

    monkeypatch.setattr(module, "decode_batch", decode)
    sounds = [np.ones(4 * WHISPER_HZ, np.float32) for _ in firsts]
    found = Whisper(module.Path("weights")).transcribe_all(sounds, language, len(firsts))
    return [one.text for one in found], seen


def test_sure_results_of_a_batch_are_kept(model, monkeypatch):
    texts, seen = in_batch(monkeypatch, [segment(GOOD)], [segment(f"{GOOD} now")])
    assert texts == [GOOD, f"{GOOD} now"] and model.windows == []
    assert seen["frames"] == 600 and seen["max_new_tokens"] == 50


@pytest.mark.parametrize(
    ("first", "windows"),
    [
        ([segment(f"{GOOD}. {GOOD}.")], [12]),  # broken
        ([segment("something else entirely", 0.5)], [12]),  # unsure
        ([], [6]),  # nothing: from the start
    ],
)
def test_doubtful_results_of_a_batch_are_repeated_alone(model, monkeypatch, first, windows):
    texts, _ = in_batch(monkeypatch, [segment(GOOD)], first)
    assert texts == [GOOD, f"{GOOD}."]
    assert model.windows == windows


def test_an_utterance_that_a_batch_did_not_finish_is_transcribed_alone(model, monkeypatch):
    """A pass ends at Whisper's last timestamp; only `transcribe` looks at the rest."""
    early = SimpleNamespace(**vars(segment("I would like to find an")) | {"end": 2.4})
    texts, _ = in_batch(monkeypatch, [segment(GOOD)], [early])
    assert texts == [GOOD, f"{GOOD}."] and model.windows == [6]


def test_silence_in_a_batch_has_no_text(model, monkeypatch):
    monkeypatch.setattr(module, "decode_batch", lambda *_, **__: [[segment(GOOD)]] * 2)
    sounds = [np.ones(4 * WHISPER_HZ, np.float32), np.zeros(4 * WHISPER_HZ, np.float32)]
    found = Whisper(module.Path("weights")).transcribe_all(sounds, "en", 2)
    assert [one.text for one in found] == [GOOD, ""] and found[1].confidence == 0.0


def test_mandarin_is_asked_for_with_punctuation_alone_and_in_a_batch(model, monkeypatch):
    """The prompt is punctuated, simplified Mandarin; without it Whisper writes no punctuation."""
    in_batch(monkeypatch, [segment("我想去北京的动物园")], [], language="zh")
    sure = [segment("我想去北京的动物园")]
    _, batched = in_batch(monkeypatch, sure, sure, language="zh")
    for options in (*model.options, batched):
        assert options["initial_prompt"].endswith("。") and "普通话" in options["initial_prompt"]
    assert model.options, "the one that found nothing is transcribed alone"
    _, english = in_batch(monkeypatch, [segment(GOOD)], [segment(GOOD)])
    assert english["initial_prompt"] is None


def test_results_of_a_batch_have_the_times_of_their_utterances(monkeypatch):
    """The pipeline gets one recording; nothing lies before or beyond an utterance."""
    import faster_whisper
    from faster_whisper.transcribe import Segment
    from faster_whisper.transcribe import Word as Timed

    asked: dict[str, Any] = {}

    def found(start: float, end: float, seek: int, text: str = " yes") -> Segment:
        words = [Timed(start, end, " yes", 0.9)]
        return Segment(1, seek, start, end, text, [1], -0.1, 1.0, 0.0, words, 0.0)

    class Pipeline:
        def __init__(self, model: Any) -> None:
            pass

        def transcribe(self, audio: np.ndarray, **options: Any) -> tuple[list[Segment], None]:
            asked.update(options, audio=audio)
            empty = found(2.0, 2.0, 200)
            return [
                found(0.25, 1.75, 0),
                found(1.9, 3.9, 200),
                found(2.2, 2.4, 200, " "),
                empty,
            ], None

    monkeypatch.setattr(faster_whisper, "BatchedInferencePipeline", Pipeline)
    sounds = [np.full(24_000, 0.1, np.float32), np.full(28_000, 0.2, np.float32)]
    first, second = decode_batch(None, sounds, initial_prompt="好。")
    assert asked["clip_timestamps"] == [{"start": 0, "end": 1.5}, {"start": 2, "end": 3.75}]
    assert asked["initial_prompt"] == " 好。", "as `transcribe` encodes it"
    assert np.array_equal(asked["audio"][32_000:60_000], sounds[1])
    for (one,), start, end in ((first, 0.25, 1.5), (second, 0.0, 1.75)):
        assert (one.start, one.end) == (one.words[0].start, one.words[0].end) == (start, end)


def test_whispers_own_batch_gives_the_same_words_and_times():
    try:
        whisper = Whisper(find_whisper(), num_threads=1)
    except RepError as error:
        pytest.skip(str(error))
    sounds = [resample(made.line(voice, line), 24_000, WHISPER_HZ) for voice, line in LINES]
    alone = whisper.transcribe_all(sounds, "en", 1)
    together = whisper.transcribe_all(sounds, "en", len(sounds))
    for one, other in zip(alone, together, strict=True):
        assert one.text and other.text == one.text
        for word, same in zip(one.words, other.words, strict=True):
            assert abs(word.start - same.start) <= 0.1 and abs(word.end - same.end) <= 0.1


LINES = ((0, 5), (1, 1))
