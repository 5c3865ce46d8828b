"""Synthetic speech, for tests of voice analysis."""

import functools

import numpy as np

from data.synthetic import speak

TEXTS = (
    "I walked along the river this morning and saw a heron in the water.",
    "It did not move at all for a long time, and then it flew away.",
    "Later my brother came, and we had our breakfast under the trees.",
)


@functools.cache
def espeak_voice(voice: str = "espeak-en-us") -> np.ndarray:
    """About ten seconds, `[T]` float32 at 24 kHz."""
    return np.concatenate([speak(voice, text)[0] for text in TEXTS])
