"""Stage 3: the background of a scene.

By default this only estimates the signal-to-noise ratio, from speech and pauses. If configured,
demucs separates the speech first.
"""

import numpy as np

from data.ncssd.separation import separate
from data.ncssd.stage import Context, drop, under
from data.ncssd.store import Row

VERSION = 1
MAX_DB = 60.0
_FRAME_S = 0.02
_RATE = 16_000
_EDGE_S = 0.06  # around a span's ends, counted as neither speech nor pause


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `snr_db` to a scene, and `audio` if speech was separated."""
    config = context.config.background
    if config.separation == "demucs":
        row = separate(row, context, key)
    samples = context.read(row["audio"], row["start"], row["end"], _RATE)
    spans = [[a - row["start"], b - row["start"]] for a, b in row["speech"]]
    row = {**row, "snr_db": round(estimate_snr(samples, spans), 2)}
    if row["snr_db"] >= config.min_snr_db:
        return [row]
    why = under("SNR", row["snr_db"], config.min_snr_db, "background.min_snr_db")
    return [drop(row, "too much noise", why)]


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
