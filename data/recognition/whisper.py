"""Whisper through faster-whisper: one utterance to words, with the figures to doubt them by."""

import functools
import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.recognition.whisper_doubt import is_believed, is_doubtful

WHISPER_HZ = 16_000
LANGUAGES = ("en", "zh")
"""What the language of an utterance is looked for among."""

# The encoder's work grows faster than its window. Whisper was trained on windows of 30 s, silence
# behind the speech included; from 10 s on it hears nearly as well, at a quarter of the cost, in
# shorter ones it repeats itself and breaks off.
_WINDOW_S = 30
_SHORTEST_S = 10
_SILENCE_S = 1.5
_FRAMES_A_SECOND = 100
_MIN_SPEECH_S = 0.12
_MIN_SPEECH_SHARE = 0.05
_GLANCE_S, _GLANCE_TOKENS = 2, 8
_BEAM = {"zh": 5}  # in a short window; English gains nothing by one
_AGAIN = (0.0, 0.2, 0.4)  # temperatures; above them Whisper makes words up


@dataclass(frozen=True)
class Word:
    """One word; times in seconds from the start of the utterance."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """What was said.

    Attributes:
        text: with capitals and punctuation; empty where there is no speech.
        language: "en", "zh", ...
        confidence: geometric mean of the tokens' probabilities, 0 to 1; None where a recogniser
            does not know it.
        words: empty unless their times were asked for.
    """

    text: str
    language: str
    confidence: float | None
    words: tuple[Word, ...] = ()


class Whisper:
    """A Whisper model; calls from several threads take turns.

    Args:
        folder: of the weights, as `find_whisper` gives it.
        device: "cpu", "cuda" or "auto".
        num_threads: of the processor; 0 takes all.
    """

    def __init__(self, folder: Path, device: str = "cpu", num_threads: int = 2) -> None:
        compute = "int8" if device == "cpu" else "default"
        self._model = _short_window_model()(
            str(folder), device=device, compute_type=compute, cpu_threads=num_threads
        )
        self._lock = threading.Lock()  # the model keeps its window's length

    def transcribe(
        self,
        samples: np.ndarray,
        language: str | None = None,
        hotwords: str | None = None,
        word_times: bool = False,
        plainly: bool = False,
        hastily: bool = False,
    ) -> Transcript:
        """The words of an utterance.

        They are sought in a short window; where that may have gone wrong (`is_doubtful`), once more
        in a window of 30 s.

        Whisper writes words for noise, music and silence, too. An utterance without speech (by
        silero's detector), or whose words Whisper itself doubts, has none here.

        Args:
            samples: `[T]` at 16 kHz.
            language: of what is said; None finds the likelier one of `LANGUAGES`.
            hotwords: names that may occur.
            word_times: whether `words` are wanted; takes longer.
            plainly: as Whisper was made, to measure by it: in a window of 30 s, and with the words
                that it doubts.
            hastily: words that are doubtful are not sought again.
        """
        seconds = len(samples) / WHISPER_HZ
        speech_s = _speech_s(samples)
        if speech_s < max(_MIN_SPEECH_S, _MIN_SPEECH_SHARE * min(seconds, _WINDOW_S)):
            return Transcript("", language or LANGUAGES[0], 0.0)
        with self._lock:
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
            segments = self._sought(samples, speech_s, hastily, options)
        segments = [one for one in segments if plainly or is_believed(one)]
        joined = "".join(one.text for one in segments).strip()
        words = tuple(
            Word(word.word.strip(), round(word.start, 3), round(word.end, 3), word.probability)
            for one in segments
            for word in one.words or ()
        )
        return Transcript(joined, language, _confidence(segments), words)

    def glance(self, samples: np.ndarray, language: str = "en") -> str:
        """The first words of samples `[T]` at 16 kHz, of at most 2 s, as fast as can be; whether
        they are speech at all is not asked."""
        with self._lock:
            self._model.window_frames = _GLANCE_S * _FRAMES_A_SECOND
            found = self._decoded(
                samples[-_GLANCE_S * WHISPER_HZ :],
                language=language,
                beam_size=1,
                temperature=0.0,
                without_timestamps=True,
                max_new_tokens=_GLANCE_TOKENS,
            )
            return "".join(one.text for one in found).strip()

    def _sought(
        self, samples: np.ndarray, speech_s: float, hastily: bool, options: dict[str, Any]
    ) -> list[Any]:
        """Segments by the window that is set, or by the full one where that fails."""
        full, language = _WINDOW_S * _FRAMES_A_SECOND, options["language"]
        if self._model.window_frames < full:
            beam = _BEAM.get(language, 1)
            found = self._decoded(samples, beam_size=beam, temperature=0.0, **options)
            if hastily or not is_doubtful(found, speech_s, language):
                return found
            self._model.window_frames = full
            return self._decoded(samples, beam_size=5, temperature=_AGAIN, **options)
        return self._decoded(samples, beam_size=5, **options)

    def _decoded(self, samples: np.ndarray, **options: Any) -> list[Any]:
        """Segments of samples in the window that is set; the lock is held."""
        found, _ = self._model.transcribe(samples, condition_on_previous_text=False, **options)
        return list(found)

    def find_language(self, samples: np.ndarray) -> str:
        """The likeliest of all of Whisper's languages in samples `[T]` at 16 kHz, of 30 s at most;
        one of `LANGUAGES` unless another is likelier than not."""
        with self._lock:
            self._model.window_frames = _window_frames(_WINDOW_S)
            name, share, _ = self._model.detect_language(samples[: _WINDOW_S * WHISPER_HZ])
            return name if share > 0.5 else self._language(samples)

    def _language(self, samples: np.ndarray) -> str:
        _, _, shares = self._model.detect_language(samples[: _WINDOW_S * WHISPER_HZ])
        known = {name: share for name, share in shares if name in LANGUAGES}
        return max(known, key=lambda name: known[name])


# Without an example Whisper writes Mandarin without punctuation, in either script.
_PUNCTUATED = {"zh": "以下是普通话的句子。"}


def _window_frames(seconds: float) -> int:
    """The encoder's window for an utterance, in frames of the mel spectrogram."""
    needed = max(_SHORTEST_S, math.ceil(seconds + _SILENCE_S))
    return min(_WINDOW_S, needed) * _FRAMES_A_SECOND


@functools.cache
def _short_window_model() -> Any:
    """faster-whisper's model, whose encoder takes a window of any length up to 30 s.

    faster-whisper pads every utterance to 30 s, whatever its `chunk_length`, so that "yes" costs
    as much as half a minute of speech.
    """
    from faster_whisper import WhisperModel

    class ShortWindowModel(WhisperModel):
        window_frames = _WINDOW_S * _FRAMES_A_SECOND
        last: tuple[np.ndarray, Any] | None = None

        def encode(self, features: np.ndarray) -> Any:
            # To find the language and then the words, the same window is asked for twice.
            window = np.ascontiguousarray(features[..., : self.window_frames])
            if self.last is None or not np.array_equal(self.last[0], window):
                self.last = window, super().encode(window)
            return self.last[1]

    return ShortWindowModel


def _speech_s(samples: np.ndarray) -> float:
    """Seconds of speech in samples `[T]` at 16 kHz."""
    vad = _vad()
    spans = vad.get_speech_timestamps(samples, vad.VadOptions(min_silence_duration_ms=100))
    return sum(span["end"] - span["start"] for span in spans) / WHISPER_HZ


@functools.cache
def _vad() -> Any:
    from faster_whisper import vad

    return vad


def _confidence(segments: list[Any]) -> float:
    if not segments:
        return 0.0
    lengths = np.array([max(1, len(one.tokens)) for one in segments])
    means = np.array([one.avg_logprob for one in segments])
    return float(np.exp((lengths * means).sum() / lengths.sum()))
