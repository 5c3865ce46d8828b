"""Word and phone times of a reply, from its pointer at each frame."""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

from models.delivery.delivery import Delivery
from models.mel import FRAME_SAMPLES, SAMPLE_RATE
from models.predictors.units import MARKS, Units
from models.text import SYMBOLS

FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
Word = tuple[str, float, float]


@dataclass(frozen=True)
class TimedWord:
    """A word and its phones with their times, in seconds from the first sample."""

    word: str
    start: float
    end: float
    phones: tuple[Word, ...] = ()

    def public(self) -> dict[str, object]:
        """The word as in JSON output."""
        phones = [{"phone": p, "start": start, "end": end} for p, start, end in self.phones]
        return {"word": self.word, "start": self.start, "end": self.end, "phones": phones}


def shifted(word: TimedWord, by_s: float, tempo: float = 1.0) -> TimedWord:
    """The word's times in audio played `tempo` times as fast and starting `by_s` later."""

    def at(seconds: float) -> float:
        return round(seconds / tempo + by_s, 3)

    phones = tuple((phone, at(start), at(end)) for phone, start, end in word.phones)
    return TimedWord(word.word, at(word.start), at(word.end), phones)


class FrameClock:
    """Output times of frames played at different rates, with pauses in between."""

    def __init__(self) -> None:
        self._passage = 0.0  # start of the frames since the last pause, s
        self._frames = 0.0  # their number, in output frames

    @property
    def now(self) -> float:
        """Start of the next frame in seconds."""
        return self._passage + self._frames * FRAME_S

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Appends frames with these deliveries."""
        self._frames += sum(1 / delivery.rate for delivery in deliveries)

    def pause(self, frames: int) -> None:
        """Appends a pause of `frames`; a started output frame counts as whole."""
        self._passage += (math.ceil(self._frames - 1e-6) + frames) * FRAME_S
        self._frames = 0.0

    def starts(self, deliveries: Sequence[Delivery]) -> list[float]:
        """Start of each frame if these deliveries followed, and the end of the last."""
        times, at = [self.now], self._frames
        for delivery in deliveries:
            at += 1 / delivery.rate
            times.append(self._passage + at * FRAME_S)
        return times


def timed_words(units: Units, pointer: Sequence[int], starts: Sequence[float]) -> list[TimedWord]:
    """The words that the pointer has reached, with times.

    Args:
        units: units of the sentence.
        pointer: its position at each frame, then optionally its current one.
        starts: start of each frame, and the end of the last.
    """
    words = []
    for word, first, end in units.words:
        if pointer[-1] < first:
            break
        phones = tuple(
            (SYMBOLS[units.symbols[unit]], *_time(unit, unit + 1, pointer, starts))
            for unit in range(first, end)
            if units.symbols[unit] not in MARKS and pointer[-1] >= unit
        )
        words.append(TimedWord(word, *_time(first, end, pointer, starts), phones))
    return words


def _time(
    first: int, end: int, pointer: Sequence[int], starts: Sequence[float]
) -> tuple[float, float]:
    """Start and end of units `first` to `end`; units that the pointer skipped have zero
    duration."""
    start, stop = (bisect.bisect_left(pointer, unit) for unit in (first, end))
    last = len(starts) - 1
    return round(starts[min(start, last)], 3), round(starts[min(stop, last)], 3)
