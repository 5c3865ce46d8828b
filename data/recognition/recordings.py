"""Recognition of recordings of any length, in stretches that are cut at pauses.

No recogniser takes more than half a minute at once as well as it takes less, and between stretches
a conversation gets its turn.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from data.audio import SAMPLE_RATE
from data.audio.pcm import to_float
from data.recognition.recognizer import Names, Recognizer, TimedWord, Utterance, fed, text_of

_SHORTEST_S, _LONGEST_S = 15, 26
_PAUSE_S, _STEP_S = 0.3, 0.05


@dataclass(frozen=True)
class Passage:
    """The transcript of a stretch.

    Attributes:
        text: its words.
        start, end: of the stretch, s.
        language: a code; None if unknown.
        words: with timestamps; None if the recogniser has none.
        confidences: the probability of each word, 0 to 1, likewise.
    """

    text: str
    start: float
    end: float
    language: str | None = None
    words: tuple[TimedWord, ...] | None = None
    confidences: tuple[float, ...] | None = None


def transcribe_recording(
    recognizer: Recognizer,
    samples: np.ndarray,
    language: str | None = None,
    times: bool = False,
    names: Names = (),
    started: Callable[[Utterance], None] = lambda _: None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Passage]:
    """Yields the passages of a recording that have words.

    Args:
        recognizer: the recogniser.
        samples: int16 `[T]` at 24 kHz.
        language: a code; None: detected in each stretch.
        times: whether to compute timestamps.
        names: names that may occur, or a text before the recording, to bias recognition.
        started: is given each utterance, to abort it.
        check: called several times a second; may raise to stop.

    Raises:
        RepError: recognition failed, or took too long.
    """
    for first, last in stretches(samples):
        check()
        utterance = fed(recognizer, to_float(samples[first:last]), language, times, names)
        started(utterance)
        text = text_of(utterance, check)
        if text:
            start, end = first / SAMPLE_RATE, last / SAMPLE_RATE
            words = utterance.words
            if words is not None:
                words = tuple((word, start + a, start + b) for word, a, b in words)
            found = utterance.language or language
            yield Passage(text, start, end, found, words, utterance.confidences)


def stretches(samples: np.ndarray) -> list[tuple[int, int]]:
    """Cuts int16 samples `[T]` at 24 kHz into stretches (first, last) of at most `_LONGEST_S`, at
    the quietest moments of `_PAUSE_S`."""
    found, first = [], 0
    while len(samples) - first > _LONGEST_S * SAMPLE_RATE:
        reach = samples[first + _SHORTEST_S * SAMPLE_RATE : first + _LONGEST_S * SAMPLE_RATE]
        last = first + _SHORTEST_S * SAMPLE_RATE + _quietest(reach)
        found.append((first, last))
        first = last
    return [*found, (first, len(samples))]


def _quietest(samples: np.ndarray) -> int:
    """The middle of the quietest moment of samples `[n]`."""
    step = round(_STEP_S * SAMPLE_RATE)
    frames = to_float(samples[: len(samples) // step * step]).reshape(-1, step)
    power, count = np.square(frames).mean(axis=1), round(_PAUSE_S / _STEP_S)
    moments = np.convolve(power, np.ones(count), "valid")
    return step * (int(np.argmin(moments)) + count // 2)


def joined(pieces: Sequence[str]) -> str:
    """Joins words or texts; none is written between Chinese characters."""
    text = ""
    for piece in pieces:
        wide = not text or not piece or _is_wide(text[-1]) or _is_wide(piece[0])
        text += piece if wide else f" {piece}"
    return text


def _is_wide(character: str) -> bool:
    return character >= "\u2e80"
