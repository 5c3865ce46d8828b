"""Phone times from Kokoro's durations."""

import numpy as np

from data.audio import SAMPLE_RATE
from data.synthetic.kokoro.generator import FRAME_SAMPLES
from data.synthetic.kokoro.naming import SPACE, units_of
from data.synthetic.phones import PAUSE, Phone

LEAD_S = 0.05
"""The audio precedes the durations by this much, as measured on sonorant phones."""

_FRAME_S = FRAME_SAMPLES / SAMPLE_RATE
_AUDIBLE = 0.01  # of the peak
_LEVEL_SAMPLES = 120
_PAUSE_FRAMES = 5  # longer spaces are pauses


def phones_of(
    letters: str, durations: np.ndarray, samples: np.ndarray, mandarin: bool = False
) -> list[Phone]:
    """Phones with their times; short spaces are divided between their neighbours.

    Args:
        letters: the text in Kokoro's alphabet, one token per letter.
        durations: frames of the leading silence, of each token, and of the trailing silence,
            `[N + 2]`.
        samples: the audio, `[600 T]`.
        mandarin: whether the text is Mandarin.

    Returns:
        Contiguous phones within the audio, named as by `units_of`, with PAUSE for silence.
    """
    assert len(durations) == len(letters) + 2
    ends = np.clip(np.cumsum(durations) * _FRAME_S - LEAD_S, 0.0, _end_of_sound(samples))
    phones: list[Phone] = [(PAUSE, 0.0, float(ends[0]))]
    position = 0
    for name, num_letters in units_of(letters, mandarin):
        frames = durations[position + 1 : position + 1 + num_letters].sum()
        position += num_letters
        if name == SPACE and frames >= _PAUSE_FRAMES:
            name = PAUSE
        phones.append((name, phones[-1][2], float(ends[position])))
    phones.append((PAUSE, phones[-1][2], samples.shape[0] / SAMPLE_RATE))
    return _without_spaces(phones)


def _end_of_sound(samples: np.ndarray) -> float:
    """The time in seconds after which the audio stays inaudible."""
    whole = samples.shape[0] // _LEVEL_SAMPLES * _LEVEL_SAMPLES
    level = np.abs(samples[:whole]).reshape(-1, _LEVEL_SAMPLES).max(1)
    loud = np.flatnonzero(level > _AUDIBLE * level.max(initial=0.0))
    return float(loud[-1] + 1) * _LEVEL_SAMPLES / SAMPLE_RATE if loud.size else 0.0


def _without_spaces(phones: list[Phone]) -> list[Phone]:
    """Divides short spaces between their neighbours; neighbouring pauses absorb them."""
    kept: list[Phone] = []
    for index, (name, start, end) in enumerate(phones):
        if name != SPACE:
            kept.append((name, kept[-1][2] if kept else start, end))
            continue
        silent_before = kept[-1][0] == PAUSE
        silent_after = phones[index + 1][0] == PAUSE
        middle = (start + end) / 2
        border = end if silent_before else start if silent_after else middle
        kept[-1] = (kept[-1][0], kept[-1][1], border)
    return kept
