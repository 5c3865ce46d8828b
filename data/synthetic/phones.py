"""What a synthesizer gives: samples, their rate, and when each phone sounds."""

from dataclasses import dataclass

import numpy as np

Phone = tuple[str, float, float]  # name in the synthesizer's own set, start and end in seconds

PAUSE = "pau"
_PAUSES = frozenset({"pau", "ssil", "sil", "#", "h#", "brth", "", "_", "_:", "_|"})


@dataclass
class Spoken:
    """Samples [T] float32 at `sample_rate` Hz, with the phones in the order of their times."""

    samples: np.ndarray
    sample_rate: float
    phones: list[Phone]

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.samples.shape[0] / self.sample_rate


def scaled(phones: list[Phone], factor: float) -> list[Phone]:
    """The same phones, every time multiplied."""
    return [(name, start * factor, end * factor) for name, start, end in phones]


def tidy(phones: list[Phone], duration: float) -> list[Phone]:
    """One name for silence, silences side by side joined, empty phones out, all in the sound."""
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
    """Keeps at most `margin` seconds of silence before the first and after the last sound."""
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
