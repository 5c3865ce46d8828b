"""Audio of the user: synthetic speech of any length, and flite's if it is installed."""

import subprocess
from functools import cache
from pathlib import Path

import numpy as np

from data.audio import SAMPLE_RATE, read_audio, resample
from data.synthetic import espeak
from tests.programs import need


def speechlike(seconds: float, f0_hz: float = 120.0, seed: int = 0) -> np.ndarray:
    """Continuous speech by espeak-ng, of exactly this length."""
    voice = _voice(round(f0_hz), seed)
    count = int(seconds * SAMPLE_RATE)
    return np.tile(voice, 1 + count // len(voice))[:count]


@cache
def _voice(f0_hz: int, seed: int) -> np.ndarray:
    words = "no one ran along a long lane while our moon was rolling on and around".split()
    words = words[seed % len(words) :] + words[: seed % len(words)]
    said = espeak.speak("en-us", " ".join(words), pitch=f0_hz / 110)
    sound = resample(said.samples, said.sample_rate, SAMPLE_RATE)
    loud = np.flatnonzero(np.abs(sound) > 0.05)
    sound = sound[loud[0] : loud[-1]]
    return (0.35 * sound / np.abs(sound).max()).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    """The noise floor of a quiet room."""
    noise = np.random.default_rng(1).standard_normal(int(seconds * SAMPLE_RATE))
    return (1e-4 * noise).astype(np.float32)


def spoken(text: str, folder: Path, voice: str = "slt") -> np.ndarray:
    """`text` by flite, `[T]` at 24 kHz; skips the test if flite is not installed."""
    need("flite")
    path = folder / "spoken.wav"
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
    return 0.7 * read_audio(path)
