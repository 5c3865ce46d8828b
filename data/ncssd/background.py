"""Stage 3: what lies behind the speech of a scene.

By default the signal-to-noise ratio is estimated from the speech and the pauses between it, and
nothing is changed. With demucs installed, and its model present, speech is separated first.
"""

import numpy as np

from data.ncssd.separation import separate
from data.ncssd.stage import Context, drop, under
from data.ncssd.store import Row

VERSION = 1
MAX_DB = 60.0
_FRAME_S = 0.02
_RATE = 16_000
_EDGE_S = 0.06  # of a span: neither surely speech nor surely pause


def run(row: Row, context: Context, key: str) -> list[Row]:
    """Adds `snr_db` to a scene, and `audio` of separated speech where that was asked for."""
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
    """Mean square of each 20 ms."""
    size = round(_FRAME_S * rate)
    num = samples.shape[0] // size
    return (samples[: num * size].reshape(num, size) ** 2).mean(axis=1)


def estimate_snr(samples: np.ndarray, spans: list[list[float]]) -> float:
    """Speech against background in dB, at most 60, from samples at 16 kHz and speech spans."""
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
    # without pauses the quietest frames of the speech are the best that can be known
    noise = pause.mean() if pause.shape[0] >= 15 else np.quantile(power, 0.05)
    signal = power[speech].mean() if speech.any() else power.mean()
    ratio = max(signal - noise, 1e-12) / max(noise, 1e-12)
    return float(np.clip(10.0 * np.log10(ratio), -MAX_DB, MAX_DB))
