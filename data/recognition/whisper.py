"""Whisper through faster-whisper: transcribes one utterance, with confidence measures."""

import functools
import math
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.languages import LANGUAGES
from data.recognition.recognizer import Hypothesis
from data.recognition.whisper_doubt import is_believed, is_broken, is_doubtful

WHISPER_HZ = 16_000
# The encoder's cost grows faster than its window. Whisper was trained on windows of 30 s padded
# with silence; from 6 s on it is as accurate at a sixth of the cost, in shorter ones it repeats
# itself and truncates.
_WINDOW_S = 30
_SHORTEST_S = 6
_SECOND_S = 12  # corrects nearly as much as 30 s does in a third of the time
_SILENCE_S = 1.5
_FRAMES_A_SECOND = 100
_MIN_SPEECH_S = 0.12
_MIN_SPEECH_SHARE = 0.05
_GLANCE_S, _WHOLE_GLANCE_S, _GLANCE_TOKENS = 2, 10, 8  # in 6 s "oh" becomes words
_TOKENS, _TOKENS_A_SECOND = 20, 12  # people say less; a loop goes on
_GLIMPSED = 0.3  # minimum confidence
_NICENESS = 5  # beside speech synthesis
_AGAIN = (0.0, 0.2, 0.4)  # fallback temperatures; above them Whisper hallucinates


@dataclass(frozen=True)
class Word:
    """One word; times in seconds from the start of the utterance."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """A transcript.

    Attributes:
        text: cased and punctuated; empty without speech.
        language: "en", "zh", ...
        confidence: geometric mean of the token probabilities, 0 to 1; None if unavailable.
        words: empty unless timestamps were requested.
    """

    text: str
    language: str
    confidence: float | None
    words: tuple[Word, ...] = ()


class Whisper:
    """A Whisper model, for any number of threads.

    Args:
        folder: of the weights, as `find_whisper` gives it.
        device: "cpu", "cuda" or "auto".
        num_threads: of the processor, for each call; 0 takes all.
        num_workers: calls that run at once; others wait.
    """

    def __init__(
        self, folder: Path, device: str = "cpu", num_threads: int = 2, num_workers: int = 1
    ) -> None:
        compute = "int8" if device == "cpu" else "default"
        create = functools.partial(
            _short_window_model(), str(folder), device, compute_type=compute,
            cpu_threads=num_threads, num_workers=num_workers,
        )  # fmt: skip
        # Its threads inherit the niceness of the one that creates it.
        with ThreadPoolExecutor(1, initializer=_lower_priority) as creator:
            self._model = creator.submit(create).result()

    def transcribe(
        self,
        samples: np.ndarray,
        language: str | None = None,
        hotwords: str | None = None,
        word_times: bool = False,
        plainly: bool = False,
        hastily: bool = False,
        given_up: Callable[[], bool] = bool,
        drafted: Callable[[str], object] = bool,
    ) -> Transcript:
        """Transcribes an utterance.

        It uses a short window first and, if the result is doubtful (`is_doubtful`), a window of
        12 s; if that one is broken (`is_broken`) or less sure, 30 s.

        Whisper hallucinates words in noise, music and silence. The result is empty for an utterance
        without speech (by silero-vad) or with low confidence.

        Args:
            samples: `[T]` at 16 kHz.
            language: a code; None: the likelier of `LANGUAGES`.
            hotwords: names that may occur.
            word_times: compute `words`, which takes longer.
            plainly: standard Whisper, for evaluation: a 30 s window, without rejecting words.
            hastily: do not repeat doubtful results in longer windows.
            given_up: whether nobody waits for the result any more; checked between the stages,
                after which the result is empty.
            drafted: called with the words of the first window if they are doubtful.
        """
        seconds = len(samples) / WHISPER_HZ
        speech_s = _speech_s(samples)
        if speech_s < max(_MIN_SPEECH_S, _MIN_SPEECH_SHARE * min(seconds, _WINDOW_S)):
            return Transcript("", language or LANGUAGES[0], 0.0)
        self._model.window_frames = _window_frames(_WINDOW_S if plainly else seconds)
        if language is None:
            language = self._language(samples)
        options = {
            "language": language,
            "hotwords": hotwords,
            "word_timestamps": word_times,
            "without_timestamps": seconds < _WINDOW_S and not word_times,
            "initial_prompt": _PUNCTUATED.get(language),
        }
        segments = self._sought(samples, speech_s, hastily, given_up, drafted, options)
        segments = [one for one in segments if plainly or is_believed(one)]
        return Transcript(_joined(segments), language, _confidence(segments), _words(segments))

    def recognise_quickly(
        self, samples: np.ndarray, language: str = "en", whole: bool = False
    ) -> Hypothesis:
        """The words of short samples `[T]` at 16 kHz, without checking for speech.

        Args:
            samples: the beginning of an utterance, at most 2 s.
            language: a code.
            whole: whether they are all of it. Else the result is as fast as possible: often wrong,
                or a loop of the right words.
        """
        seconds = _WHOLE_GLANCE_S if whole else _GLANCE_S
        self._model.window_frames = seconds * _FRAMES_A_SECOND
        found = self._decoded(
            samples[-seconds * WHISPER_HZ :],
            language=language,
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            max_new_tokens=_GLANCE_TOKENS,
            initial_prompt=_INTERJECTIONS.get(language),
        )
        believed = [one for one in found if _confidence([one]) >= _GLIMPSED]
        return Hypothesis(_joined(believed), _confidence(believed))

    def _sought(
        self,
        samples: np.ndarray,
        speech_s: float,
        hastily: bool,
        given_up: Callable[[], bool],
        drafted: Callable[[str], object],
        options: dict[str, Any],
    ) -> list[Any]:
        """Segments by the window that is set, or by longer ones where that fails."""
        full, language = _WINDOW_S * _FRAMES_A_SECOND, options["language"]
        if given_up():
            return []
        shortest = self._model.window_frames
        if shortest == full:
            return self._decoded(samples, beam_size=5, **options)
        longest = round(_TOKENS + _TOKENS_A_SECOND * speech_s)
        options |= {"max_new_tokens": longest}
        found = first = self._decoded(samples, beam_size=1, temperature=0.0, **options)
        if hastily or not is_doubtful(first, speech_s, language):
            return first
        drafted(_joined([one for one in first if is_believed(one)]))
        unsure = not is_broken(first, speech_s, language)
        for frames in (_SECOND_S * _FRAMES_A_SECOND, full):
            if frames <= shortest:
                continue
            if given_up():
                break
            self._model.window_frames = frames
            found = self._decoded(samples, beam_size=5, temperature=_AGAIN, **options)
            worse = unsure and _confidence(found) < _confidence(first)
            if not (worse or is_broken(found, speech_s, language)):
                break
        return found

    def _decoded(self, samples: np.ndarray, **options: Any) -> list[Any]:
        """Segments of samples in the window that is set."""
        found, _ = self._model.transcribe(samples, condition_on_previous_text=False, **options)
        return list(found)

    def find_language(self, samples: np.ndarray) -> str:
        """The most likely language of samples `[T]` at 16 kHz, at most 30 s: one of `LANGUAGES`
        unless another one has a probability above one half."""
        self._model.window_frames = _window_frames(_WINDOW_S)
        name, share, _ = self._model.detect_language(samples[: _WINDOW_S * WHISPER_HZ])
        return name if share > 0.5 else self._language(samples)

    def _language(self, samples: np.ndarray) -> str:
        features = self._model.feature_extractor(samples[: _WINDOW_S * WHISPER_HZ])
        # Without the last frame, which `transcribe` drops too: both then encode the same window.
        _, _, shares = self._model.detect_language(features=features[..., :-1])
        known = {name: share for name, share in shares if name in LANGUAGES}
        return max(known, key=lambda name: known[name])


# Without a prompt Whisper writes hums as words.
_INTERJECTIONS = {
    "en": "Mm-hm. Uh-huh. Yeah, right. Hmm. No, wait. Stop! Excuse me.",
    "zh": "嗯。对对。是的。哦，好的。等一下。不对！",
}
# Without a prompt Whisper writes Mandarin unpunctuated, in either script.
_PUNCTUATED = {"zh": "以下是普通话的句子。"}


def _lower_priority() -> None:
    """Lowers the priority of this thread: late speech is a gap, a late transcript is not."""
    if sys.platform == "linux":  # elsewhere niceness is the process's
        niceness = os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS
        os.setpriority(os.PRIO_PROCESS, 0, min(niceness, 19))


def _window_frames(seconds: float) -> int:
    """The encoder's window for an utterance, in frames of the mel spectrogram."""
    needed = max(_SHORTEST_S, math.ceil(seconds + _SILENCE_S))
    return min(_WINDOW_S, needed) * _FRAMES_A_SECOND


@functools.cache
def _short_window_model() -> Any:
    """faster-whisper's model with an encoder window of any length up to 30 s.

    faster-whisper pads every utterance to 30 s regardless of `chunk_length`, so that "yes" costs as
    much as half a minute of speech.
    """
    from faster_whisper import WhisperModel

    class ShortWindowModel(WhisperModel):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self._window = _Window()

        @property
        def window_frames(self) -> int:
            return self._window.frames

        @window_frames.setter
        def window_frames(self, frames: int) -> None:
            self._window.frames = frames

        def encode(self, features: np.ndarray) -> Any:
            # Language detection and transcription request the same window; cache it.
            window, last = np.ascontiguousarray(features[..., : self.window_frames]), self._window
            if last.features is None or not np.array_equal(last.features, window):
                last.features, last.encoded = window, super().encode(window)
            return last.encoded

    return ShortWindowModel


class _Window(threading.local):
    """Each thread's window: its length, and what it encoded last."""

    frames = _WINDOW_S * _FRAMES_A_SECOND
    features: np.ndarray | None = None
    encoded: Any = None


def _speech_s(samples: np.ndarray) -> float:
    """Seconds of speech in samples `[T]` at 16 kHz."""
    vad = _vad()
    spans = vad.get_speech_timestamps(samples, vad.VadOptions(min_silence_duration_ms=100))
    return sum(span["end"] - span["start"] for span in spans) / WHISPER_HZ


@functools.cache
def _vad() -> Any:
    from faster_whisper import vad

    return vad


def _joined(segments: list[Any]) -> str:
    return "".join(one.text for one in segments).strip()


def _words(segments: list[Any]) -> tuple[Word, ...]:
    return tuple(
        Word(word.word.strip(), round(word.start, 3), round(word.end, 3), word.probability)
        for one in segments
        for word in one.words or ()
    )


def _confidence(segments: list[Any]) -> float:
    if not segments:
        return 0.0
    lengths = np.array([max(1, len(one.tokens)) for one in segments])
    means = np.array([one.avg_logprob for one in segments])
    return float(np.exp((lengths * means).sum() / lengths.sum()))
