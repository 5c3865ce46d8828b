"""Sound of a person: speech-like without any program, and real speech where there is one."""

import subprocess
from pathlib import Path

import numpy as np

from data.audio import SAMPLE_RATE, read_audio
from tests.programs import need


def speechlike(seconds: float, f0_hz: float = 120.0, seed: int = 0) -> np.ndarray:
    """Pulses through three moving resonances: a voice activity detector takes it for speech."""
    rng = np.random.default_rng(seed)
    count = int(seconds * SAMPLE_RATE)
    f0 = f0_hz * (1 + 0.08 * np.sin(2 * np.pi * 2.2 * np.arange(count) / SAMPLE_RATE))
    phase = np.cumsum(f0 / SAMPLE_RATE)
    pulses = np.diff(np.floor(phase), prepend=0.0) + 0.02 * rng.standard_normal(count)
    sound = np.zeros(count)
    for centre, width, gain in ((550, 90, 1.0), (1500, 120, 0.6), (2500, 160, 0.35)):
        decay = np.exp(-np.pi * width / SAMPLE_RATE)
        length = np.arange(int(0.03 * SAMPLE_RATE))
        ring = gain * decay**length * np.sin(2 * np.pi * centre * length / SAMPLE_RATE)
        sound += np.convolve(pulses, ring)[:count]
    swell = 0.75 + 0.25 * np.sin(2 * np.pi * 4 * np.arange(count) / SAMPLE_RATE)
    return (0.25 * sound * swell / np.abs(sound).max()).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    """Almost: a room is never quite still."""
    noise = np.random.default_rng(1).standard_normal(int(seconds * SAMPLE_RATE))
    return (1e-4 * noise).astype(np.float32)


def spoken(text: str, folder: Path, voice: str = "slt") -> np.ndarray:
    """`text` by flite, samples [T] at 24 kHz; skips the test where flite is not installed."""
    need("flite")
    path = folder / "spoken.wav"
    subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True)
    return 0.7 * read_audio(path)
