"""When the words and phones of a reply sound, from where its pointer stood at each frame."""

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
    """A word with its time, and its phones with theirs, in seconds from the first sample."""

    word: str
    start: float
    end: float
    phones: tuple[Word, ...] = ()

    def public(self) -> dict[str, object]:
        """The word as JSON has it."""
        phones = [{"phone": p, "start": start, "end": end} for p, start, end in self.phones]
        return {"word": self.word, "start": self.start, "end": self.end, "phones": phones}


def shifted(word: TimedWord, by_s: float, tempo: float = 1.0) -> TimedWord:
    """A word in sound that is played `tempo` times as fast and begins `by_s` later."""

    def at(seconds: float) -> float:
        return round(seconds / tempo + by_s, 3)

    phones = tuple((phone, at(start), at(end)) for phone, start, end in word.phones)
    return TimedWord(word.word, at(word.start), at(word.end), phones)


class FrameClock:
    """How long frames sound that are played at different rates, with pauses between them."""

    def __init__(self) -> None:
        self._passage = 0.0  # where the frames since the last pause begin
        self._frames = 0.0  # how many output frames they are

    @property
    def now(self) -> float:
        """When the next frame begins, in seconds."""
        return self._passage + self._frames * FRAME_S

    def add(self, deliveries: Sequence[Delivery]) -> None:
        """Frames with these deliveries follow."""
        self._frames += sum(1 / delivery.rate for delivery in deliveries)

    def pause(self, frames: int) -> None:
        """A pause of so many frames follows; what was begun of an output frame is one."""
        self._passage += (math.ceil(self._frames - 1e-6) + frames) * FRAME_S
        self._frames = 0.0

    def starts(self, deliveries: Sequence[Delivery]) -> list[float]:
        """When each of the frames that follow would begin, and when the last would end."""
        times, at = [self.now], self._frames
        for delivery in deliveries:
            at += 1 / delivery.rate
            times.append(self._passage + at * FRAME_S)
        return times


def timed_words(units: Units, pointer: Sequence[int], starts: Sequence[float]) -> list[TimedWord]:
    """The words that the pointer has reached.

    Args:
        units: of the sentence.
        pointer: where it stood at each frame, and where it stands now, if that is later.
        starts: when each frame begins; the end of the last one too.
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
    """When units are spoken. The pointer only rises; what it leaps over has no time of its own."""
    start, stop = (bisect.bisect_left(pointer, unit) for unit in (first, end))
    last = len(starts) - 1
    return round(starts[min(start, last)], 3), round(starts[min(stop, last)], 3)
