"""Recordings for the builder's tests: conversations synthesised in memory by espeak-ng."""

import functools
from pathlib import Path

import numpy as np

from data.audio import SAMPLE_RATE, resample
from data.ncssd.truth.sound import write_media
from data.synthetic import espeak

VOICES = ("gmw/en-US", "gmw/en-GB-scotland+f2", "gmw/en-029+m3")
LINES = (
    "Have you seen the yellow bicycle that my brother left beside the river yesterday?",
    "No, I was at the market all morning, and I came home after the storm.",
    "Then somebody else must have carried it into the garage behind the house.",
    "Perhaps the neighbour did it. She was washing her car there before lunch.",
    "I will ask her tonight, when she comes back from the library.",
    "Tell her that I found her keys under the kitchen table this morning.",
    "That is good news. She was looking for them for two days.",
    "Well, she never looks in the right place, and neither do you.",
)


@functools.cache
def line(voice: int, number: int) -> np.ndarray:
    """One line in one voice, `[T]` at 24 kHz."""
    spoken = espeak.speak(VOICES[voice], LINES[number % len(LINES)])
    samples = resample(spoken.samples, spoken.sample_rate, SAMPLE_RATE)
    return 0.07 * samples / (float(np.sqrt((samples**2).mean())) + 1e-9)


def silence(seconds: float, seed: int = 0) -> np.ndarray:
    """The noise floor of a quiet room, `[T]`."""
    size = round(seconds * SAMPLE_RATE)
    return (1e-4 * np.random.default_rng(seed).standard_normal(size)).astype(np.float32)


def conversation(
    turns: int = 8, pause_s: float = 0.5, voices: tuple[int, int] = (0, 1)
) -> np.ndarray:
    """Two alternating voices with pauses."""
    parts = [silence(1.0)]
    for index in range(turns):
        parts += [line(voices[index % 2], index), silence(pause_s, index)]
    return np.concatenate(parts)


def two_conversations() -> np.ndarray:
    """Two conversations with 5 s of silence between."""
    return np.concatenate([conversation(6), silence(5.0), conversation(8)])


def write(path: Path, samples: np.ndarray, rate: int = 16_000, channels: int = 1) -> Path:
    write_media(path, samples, rate, channels)
    return path


@functools.cache
def reading(repeats: int = 4) -> tuple[np.ndarray, ...]:
    """One voice's utterances, `[T]` at 24 kHz each: two sentences, read over and over with changing
    pitch and pace."""
    manners = ((1.0, 1.0), (1.15, 0.9), (0.9, 1.15), (1.1, 1.1))
    found = []
    for repeat in range(repeats):
        pitch, stretch = manners[repeat % len(manners)]
        for number in (0, 1):
            spoken = espeak.speak(VOICES[0], LINES[number], pitch, stretch=stretch)
            samples = resample(spoken.samples, spoken.sample_rate, SAMPLE_RATE)
            found.append(0.07 * samples / (float(np.sqrt((samples**2).mean())) + 1e-9))
    return tuple(found)
