"""Estimates the signal-to-noise ratio of speech."""

import numpy as np

MAX_DB = 60.0
_FRAME_S = 0.02
_RATE = 16_000
_EDGE_S = 0.06  # around a span's ends, counted as neither speech nor pause


def frame_power(samples: np.ndarray, rate: int = _RATE) -> np.ndarray:
    """Mean square per 20 ms, `[T]`."""
    size = round(_FRAME_S * rate)
    num = samples.shape[0] // size
    return (samples[: num * size].reshape(num, size) ** 2).mean(axis=1)


def estimate_snr(samples: np.ndarray, spans: list[list[float]]) -> float:
    """Signal-to-noise ratio in dB, within ±60, of samples `[T]` at 16 kHz with speech at `spans`
    (seconds)."""
    power = frame_power(samples)
    if power.shape[0] == 0:
        return 0.0
    time = (np.arange(power.shape[0]) + 0.5) * _FRAME_S
    speech = np.zeros(power.shape[0], bool)
    near = np.zeros(power.shape[0], bool)
    for start, end in spans:
        speech |= (time >= start + _EDGE_S) & (time < end - _EDGE_S)
        near |= (time >= start - _EDGE_S) & (time < end + _EDGE_S)
    pause = power[~near]
    # without pauses, the quietest speech frames are the best estimate of the noise
    noise = pause.mean() if pause.shape[0] >= 15 else np.quantile(power, 0.05)
    signal = power[speech].mean() if speech.any() else power.mean()
    ratio = max(signal - noise, 1e-12) / max(noise, 1e-12)
    return float(np.clip(10.0 * np.log10(ratio), -MAX_DB, MAX_DB))
