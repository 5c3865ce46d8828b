"""Faults of a reply: silent, truncated, too long, or looping."""

import itertools
import re

import numpy as np
import torch

from models.evaluation.melody import active_part
from models.mel import HOP_SAMPLES, SAMPLE_RATE, LogMel
from models.predictors.units import MARKS, units_of_text
from models.text import normalise

PHONE_S = 0.085  # per phone in the teachers' neutral speech, with pauses
SHORTEST, LONGEST = 0.35, 2.5
EXTRA_S = 1.2
HELD_S = 1.0  # longest plausible sustained sound
LOOP_S = 0.7
_STILL = 0.055  # change of centred log-mels per 40 ms below which a sound is sustained
_ALIKE = 0.20  # mean log-mel difference between repetitions of a loop
_PERIODS_S = (0.16, 1.2)
_SILENT_RMS = 1e-3


def expected_seconds(text: str) -> float:
    """Duration of a text in neutral speech, estimated from its phones."""
    units = units_of_text(normalise(text, None), None)
    return PHONE_S * sum(symbol not in MARKS for symbol in units.symbols)


def repeated_seconds(text: str) -> float:
    """Duration of the longest run of repeated words in a text, such as "no no no" or "555", which
    is not a loop."""
    words = re.findall(r"[\w']+", normalise(text, None).lower())
    longest = run = 0.0
    for before, word in itertools.pairwise(words):
        run = run + expected_seconds(word) if word == before else 0.0
        longest = max(longest, run)
    return longest


def fault_of(samples: np.ndarray, text: str) -> str | None:
    """The first fault of a reply `[T]` at 24 kHz, in a word or two; None if it is fine."""
    if len(samples) < SAMPLE_RATE // 20 or np.sqrt(np.square(samples).mean()) < _SILENT_RMS:
        return "empty"
    if not np.isfinite(samples).all():
        return "not finite"
    expected = expected_seconds(text)
    seconds = len(samples) / SAMPLE_RATE
    if seconds > LONGEST * expected + EXTRA_S:
        return "over-long"
    if len(active_part(samples)) / SAMPLE_RATE < SHORTEST * expected:
        return "cut short"
    if longest_held(samples) > HELD_S:
        return "held sound"
    if longest_loop(samples) > LOOP_S + repeated_seconds(text):
        return "looping"
    return None


def _mels(samples: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return LogMel()(torch.from_numpy(np.ascontiguousarray(samples))[None])[0].numpy()


def _sounding(mels: np.ndarray) -> np.ndarray:
    level = mels.mean(1)
    return level > max(level.max() - 1.2, -1.5)


def _longest(true: np.ndarray) -> int:
    """The longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], true.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def longest_held(samples: np.ndarray) -> float:
    """Seconds of the longest sound with a constant spectrum."""
    mels = _smooth(_mels(samples))
    change = np.abs(mels[4:] - mels[:-4]).mean(1)
    still = (change < _STILL) & _sounding(mels)[4:]
    return _longest(still) * HOP_SAMPLES / SAMPLE_RATE


def longest_loop(samples: np.ndarray) -> float:
    """Seconds of the longest stretch that repeats the preceding period, excluding sustained
    sounds."""
    mels = _smooth(_mels(samples))
    sounding = _sounding(mels)
    low, high = (int(s * SAMPLE_RATE / HOP_SAMPLES) for s in _PERIODS_S)
    longest = 0
    for lag in range(low, min(high, len(mels) - 1), 2):
        difference = np.abs(mels[lag:] - mels[:-lag]).mean(1)
        longest = max(longest, _longest((difference < _ALIKE) & sounding[lag:]))
    return longest * HOP_SAMPLES / SAMPLE_RATE


def _smooth(mels: np.ndarray) -> np.ndarray:
    """Moving average over 50 ms, so that pitch periods and slight noise do not count as change."""
    kernel = np.ones(5) / 5
    return np.apply_along_axis(lambda row: np.convolve(row, kernel, "same"), 0, mels)
