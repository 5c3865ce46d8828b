"""Whisper through faster-whisper: transcribes utterances, with confidence measures."""

import dataclasses
import functools
import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.languages import LANGUAGES
from data.recognition.recognizer import Hypothesis
from data.recognition.whisper_batch import batches, decode_batch
from data.recognition.whisper_doubt import is_believed, is_broken, is_doubtful
from data.recognition.whisper_text import INTERJECTIONS, PUNCTUATED, uniform

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
_UNFINISHED_S = 0.5  # of speech after the end of a result
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
        without speech (by silero-vad) or with low confidence. Mandarin is in simplified characters.

        Args:
            samples: `[T]` at 16 kHz.
            language: a code; None: the likelier of `LANGUAGES`.
            hotwords: names that may occur.
            word_times: compute `words`, which takes longer.
            plainly: standard Whisper, for evaluation: a 30 s window, all words as they are.
            hastily: do not repeat doubtful results in longer windows.
            given_up: whether nobody waits for the result any more; checked between the stages,
                after which the result is empty.
            drafted: called with the words of the first window if they are doubtful.
        """
        seconds = len(samples) / WHISPER_HZ
        speech_s = _speech_s(samples)
        if not _is_spoken(seconds, speech_s):
            return Transcript("", language or LANGUAGES[0], 0.0)
        self._model.window_frames = _window_frames(_WINDOW_S if plainly else seconds)
        if language is None:
            language = self._language(samples)
        options = {
            "language": language,
            "hotwords": hotwords,
            "word_timestamps": word_times,
            "without_timestamps": seconds < _WINDOW_S and not word_times,
            "initial_prompt": PUNCTUATED.get(language),
        }
        segments = self._sought(samples, speech_s, hastily, given_up, drafted, options)
        return (_transcript if plainly else _believed)(segments, language)

    def transcribe_all(
        self, utterances: Sequence[np.ndarray], language: str, batch: int
    ) -> list[Transcript]:
        """Transcribes utterances, with `words`, as `transcribe` does, except that the short windows
        of several are decoded at once. Doubtful results are repeated one by one.

        Args:
            utterances: samples `[T]` at 16 kHz.
            language: a code.
            batch: utterances at once, at most; 1 calls `transcribe` for each.
        """
        windows = [_window_frames(len(samples) / WHISPER_HZ) for samples in utterances]
        found: dict[int, Transcript] = {}
        for group in batches(windows, batch, _WINDOW_S * _FRAMES_A_SECOND):
            sounds = [utterances[index] for index in group]
            if len(group) == 1:
                found[group[0]] = self.transcribe(sounds[0], language, word_times=True)
            else:
                found |= zip(group, self._transcribed_together(sounds, language), strict=True)
        return [found[index] for index in range(len(utterances))]

    def _transcribed_together(self, sounds: list[np.ndarray], language: str) -> list[Transcript]:
        """Transcripts of utterances that one batch holds."""
        options = {
            "language": language,
            "word_timestamps": True,
            "without_timestamps": False,
            "initial_prompt": PUNCTUATED.get(language),
        }
        spans = [_speech_spans(sound) for sound in sounds]
        tokens = max(_most_tokens(_length_s(own)) for own in spans)
        self._model.window_frames = max(_window_frames(len(one) / WHISPER_HZ) for one in sounds)
        firsts = decode_batch(self._model, sounds, max_new_tokens=tokens, **options)
        return [
            self._checked(sound, own, first, options)
            for sound, own, first in zip(sounds, spans, firsts, strict=True)
        ]

    def _checked(
        self,
        samples: np.ndarray,
        spans: list[tuple[float, float]],
        first: list[Any],
        options: dict[str, Any],
    ) -> Transcript:
        """The transcript of an utterance whose first window was decoded in a batch."""
        language, speech_s = options["language"], _length_s(spans)
        seconds = len(samples) / WHISPER_HZ
        if not _is_spoken(seconds, speech_s):
            return Transcript("", language, 0.0)
        if not first or spans[-1][1] - first[-1].end > _UNFINISHED_S:
            return self.transcribe(samples, language, word_times=True)
        if is_doubtful(first, speech_s, language):
            self._model.window_frames = _window_frames(seconds)
            options = options | {"max_new_tokens": _most_tokens(speech_s)}
            first = self._repeated(samples, speech_s, first, bool, options)
        return _believed(first, language)

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
            initial_prompt=INTERJECTIONS.get(language),
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
        if given_up():
            return []
        if self._model.window_frames == _WINDOW_S * _FRAMES_A_SECOND:
            return self._decoded(samples, beam_size=5, **options)
        options |= {"max_new_tokens": _most_tokens(speech_s)}
        first = self._decoded(samples, beam_size=1, temperature=0.0, **options)
        if hastily or not is_doubtful(first, speech_s, options["language"]):
            return first
        drafted(_believed(first, options["language"]).text)
        return self._repeated(samples, speech_s, first, given_up, options)

    def _repeated(
        self,
        samples: np.ndarray,
        speech_s: float,
        first: list[Any],
        given_up: Callable[[], bool],
        options: dict[str, Any],
    ) -> list[Any]:
        """Segments by longer windows than the one that is set and gave `first`."""
        shortest, language, found = self._model.window_frames, options["language"], first
        unsure = not is_broken(first, speech_s, language)
        for frames in (_SECOND_S * _FRAMES_A_SECOND, _WINDOW_S * _FRAMES_A_SECOND):
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
    return _length_s(_speech_spans(samples))


def _speech_spans(samples: np.ndarray) -> list[tuple[float, float]]:
    """Start and end in s of each stretch of speech in samples `[T]` at 16 kHz."""
    vad = _vad()
    spans = vad.get_speech_timestamps(samples, vad.VadOptions(min_silence_duration_ms=100))
    return [(span["start"] / WHISPER_HZ, span["end"] / WHISPER_HZ) for span in spans]


def _length_s(spans: list[tuple[float, float]]) -> float:
    return sum(end - start for start, end in spans)


def _is_spoken(seconds: float, speech_s: float) -> bool:
    """Whether an utterance has enough speech to be transcribed."""
    return speech_s >= max(_MIN_SPEECH_S, _MIN_SPEECH_SHARE * min(seconds, _WINDOW_S))


def _most_tokens(speech_s: float) -> int:
    return round(_TOKENS + _TOKENS_A_SECOND * speech_s)


@functools.cache
def _vad() -> Any:
    from faster_whisper import vad

    return vad


def _believed(segments: list[Any], language: str) -> Transcript:
    """The transcript of the segments to trust, in one script."""
    found = _transcript([one for one in segments if is_believed(one, language)], language)
    words = tuple(dataclasses.replace(w, text=uniform(w.text, language)) for w in found.words)
    return dataclasses.replace(found, text=uniform(found.text, language), words=words)


def _transcript(segments: list[Any], language: str) -> Transcript:
    return Transcript(_joined(segments), language, _confidence(segments), _words(segments))


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
