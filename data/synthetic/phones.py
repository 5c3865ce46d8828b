"""A synthesizer's output: samples, sample rate and phone timestamps."""

from dataclasses import dataclass

import numpy as np

Phone = tuple[str, float, float]  # name in the synthesizer's own set, start and end in seconds

PAUSE = "pau"
_PAUSES = frozenset({"pau", "ssil", "sil", "#", "h#", "brth", "", "_", "_:", "_|"})


@dataclass
class Spoken:
    """Samples [T] float32 at `sample_rate` Hz, with phones in chronological order."""

    samples: np.ndarray
    sample_rate: float
    phones: list[Phone]

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.samples.shape[0] / self.sample_rate


def scaled(phones: list[Phone], factor: float) -> list[Phone]:
    """The same phones with all times scaled."""
    return [(name, start * factor, end * factor) for name, start, end in phones]


def tidy(phones: list[Phone], duration: float) -> list[Phone]:
    """Normalises phones: one silence symbol, adjacent silences merged, empty phones removed, times
    within the audio."""
    result: list[Phone] = []
    for name, start, end in phones:
        name = PAUSE if name in _PAUSES else name
        start, end = max(0.0, start), min(end, duration)
        if end <= start:
            continue
        if name == PAUSE and result and result[-1][0] == PAUSE:
            result[-1] = (PAUSE, result[-1][1], end)
        else:
            result.append((name, start, end))
    return result


def cut(spoken: Spoken, margin: float) -> Spoken:
    """Trims leading and trailing silence to at most `margin` seconds."""
    sounding = [(start, end) for name, start, end in spoken.phones if name != PAUSE]
    if not sounding:
        return spoken
    rate = spoken.sample_rate
    first = max(0, round((sounding[0][0] - margin) * rate))
    last = min(spoken.samples.shape[0], round((sounding[-1][1] + margin) * rate))
    offset = first / rate
    phones = [(name, start - offset, end - offset) for name, start, end in spoken.phones]
    kept = Spoken(spoken.samples[first:last], rate, phones)
    return Spoken(kept.samples, rate, tidy(phones, kept.duration))
