"""Whisper through faster-whisper: one utterance to words, with the figures to doubt them by."""

import functools
import math
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

WHISPER_HZ = 16_000
LANGUAGES = ("en", "zh")
"""What the language of an utterance is looked for among."""

# The encoder's work grows faster than its window. Whisper was trained on windows of 30 s, silence
# behind the speech included, and hears as well in shorter ones.
_WINDOW_S = 30
_STEP_S = 2
_SILENCE_S = 0.6
_FRAMES_A_SECOND = 100
_MIN_SPEECH_S = 0.12
_MIN_CONFIDENCE = 0.25
_MIN_SPEECH_SHARE = 0.05
_MAX_LETTERS_A_SECOND = 40
_GLANCE_TOKENS = 8
_MAX_COMPRESSION = 2.4  # of gzip on the text; more is a loop


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
        confidence: geometric mean of the tokens' probabilities, 0 to 1.
        words: empty unless their times were asked for.
    """

    text: str
    language: str
    confidence: float
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
        beam_size: int = 5,
        hotwords: str | None = None,
        word_times: bool = False,
        plainly: bool = False,
    ) -> Transcript:
        """The words of an utterance.

        Whisper writes words for noise, music and silence, too. An utterance without speech (by
        silero's detector), or whose words Whisper itself doubts, has none here.

        Args:
            samples: `[T]` at 16 kHz.
            language: of what is said; None finds the likelier one of `LANGUAGES`.
            beam_size: 1 is the fastest.
            hotwords: names that may occur.
            word_times: whether `words` are wanted; takes longer.
            plainly: as Whisper was made, to measure by it: in a window of 30 s, since a short one
                now and then makes it repeat a sentence, and with the words that it doubts.
        """
        seconds = len(samples) / WHISPER_HZ
        if _speech_s(samples) < max(_MIN_SPEECH_S, _MIN_SPEECH_SHARE * min(seconds, _WINDOW_S)):
            return Transcript("", language or LANGUAGES[0], 0.0)
        with self._lock:
            self._model.window_frames = _window_frames(_WINDOW_S if plainly else seconds)
            if language is None:
                language = self._language(samples)
            found, _ = self._model.transcribe(
                samples,
                language=language,
                beam_size=beam_size,
                hotwords=hotwords,
                word_timestamps=word_times,
                without_timestamps=seconds < _WINDOW_S and not word_times,
                condition_on_previous_text=False,
                initial_prompt=_PUNCTUATED.get(language),
            )
            segments = [one for one in found if plainly or _is_believed(one)]
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
            self._model.window_frames = _STEP_S * _FRAMES_A_SECOND
            found, _ = self._model.transcribe(
                samples[-_STEP_S * WHISPER_HZ :],
                language=language,
                beam_size=1,
                temperature=0.0,
                without_timestamps=True,
                condition_on_previous_text=False,
                max_new_tokens=_GLANCE_TOKENS,
            )
            return "".join(one.text for one in found).strip()

    def _language(self, samples: np.ndarray) -> str:
        _, _, shares = self._model.detect_language(samples[: _WINDOW_S * WHISPER_HZ])
        known = {name: share for name, share in shares if name in LANGUAGES}
        return max(known, key=lambda name: known[name])


# Without an example Whisper writes Mandarin without punctuation, in either script.
_PUNCTUATED = {"zh": "以下是普通话的句子。"}


def _window_frames(seconds: float) -> int:
    """The encoder's window for an utterance, in frames of the mel spectrogram."""
    steps = math.ceil((seconds + _SILENCE_S) / _STEP_S)
    return min(_WINDOW_S, max(2, steps) * _STEP_S) * _FRAMES_A_SECOND


@functools.cache
def _short_window_model() -> Any:
    """faster-whisper's model, whose encoder takes a window of any length up to 30 s.

    faster-whisper pads every utterance to 30 s, whatever its `chunk_length`, so that "yes" costs
    as much as half a minute of speech.
    """
    from faster_whisper import WhisperModel

    class ShortWindowModel(WhisperModel):
        window_frames = _WINDOW_S * _FRAMES_A_SECOND

        def encode(self, features: np.ndarray) -> Any:
            return super().encode(np.ascontiguousarray(features[..., : self.window_frames]))

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


def _is_believed(segment: Any) -> bool:
    """Whether a segment's words were spoken: Whisper is sure of them, does not repeat itself, and
    nobody would have had to say them faster than people speak."""
    fits = len(segment.text) <= _MAX_LETTERS_A_SECOND * (segment.end - segment.start)
    sure = np.exp(segment.avg_logprob) >= _MIN_CONFIDENCE
    return fits and sure and segment.compression_ratio < _MAX_COMPRESSION


def _confidence(segments: list[Any]) -> float:
    if not segments:
        return 0.0
    lengths = np.array([max(1, len(one.tokens)) for one in segments])
    means = np.array([one.avg_logprob for one in segments])
    return float(np.exp((lengths * means).sum() / lengths.sum()))
