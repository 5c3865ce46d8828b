"""Simulated recording conditions: room, telephone, one speaker per channel, ..."""

import numpy as np
from scipy.signal import butter, oaconvolve, sosfilt

from data.audio import SAMPLE_RATE, resample
from data.ncssd.truth.sound import add_background, background, headroom, mix_voices
from data.ncssd.truth.timeline import Timeline

_BAND_HZ = (300.0, 3400.0)  # telephone band
_MU = 255.0
_CROSS_TALK_DB = (-35.0, -20.0)
_ROOM_S = (0.25, 0.6)  # reverberation time (60 dB)
_DIRECT_DB = (0.0, 8.0)  # direct-to-reverberant ratio


def record(line: Timeline, condition: str, snr_db: float, rng: np.random.Generator) -> np.ndarray:
    """Simulates a recording: samples `[T]` at 24 kHz, or `[2, T]` for "channels".

    "room" reverberates each voice from its own position and adds noise at `snr_db`; "telephone"
    is the band of 300 to 3400 Hz in mu-law at 8 kHz; "channels" has one voice per channel, with
    cross-talk.
    """
    return record_voices(line, condition, snr_db, rng)[0]


def record_voices(
    line: Timeline, condition: str, snr_db: float, rng: np.random.Generator
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The same recording, and each voice's contribution to it `[T]`, after room and line."""
    voices, speech = mix_voices(line, rng)
    if condition == "room":
        seconds = rng.uniform(*_ROOM_S)
        voices = {name: reverberate(track, seconds, rng) for name, track in voices.items()}
    if condition == "channels":
        leak = 10 ** (rng.uniform(*_CROSS_TALK_DB) / 20)
        left, right = voices.values()
        both = [left + leak * right, right + leak * left]
        return np.stack([add_background(one, speech, "clean", 50.0, rng) for one in both]), voices
    kind = condition if condition in ("clean", "music") else "noise"
    samples = np.sum(list(voices.values()), axis=0)
    samples = samples + background(samples, speech, kind, snr_db, rng)
    factor = np.float32(headroom(samples))
    samples, voices = samples * factor, {name: own * factor for name, own in voices.items()}
    if condition == "telephone":
        return telephone(samples), {name: telephone(own) for name, own in voices.items()}
    return samples.astype(np.float32), voices


def reverberate(samples: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Convolves samples `[T]` with exponentially decaying noise, 60 dB in `seconds`."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.standard_normal(time.shape[0]) * 10 ** (-3 * time / seconds)
    tail[: SAMPLE_RATE // 400] = 0.0  # no reflections within 2.5 ms
    tail *= 10 ** (-rng.uniform(*_DIRECT_DB) / 20) / np.sqrt((tail**2).sum())
    tail[0] = 1.0
    return oaconvolve(samples, tail.astype(np.float32))[: samples.shape[0]].astype(np.float32)


def telephone(samples: np.ndarray) -> np.ndarray:
    """Samples `[T]` after G.711: 300 to 3400 Hz, mu-law, 8 kHz."""
    band = butter(4, _BAND_HZ, "bandpass", fs=8_000, output="sos")
    narrow = np.clip(sosfilt(band, resample(samples, SAMPLE_RATE, 8_000)), -1.0, 1.0)
    code = np.rint(np.sign(narrow) * np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU) * 127) / 127
    decoded = np.sign(code) * np.expm1(np.abs(code) * np.log1p(_MU)) / _MU
    return resample(decoded.astype(np.float32), 8_000, SAMPLE_RATE)[: samples.shape[0]]
