"""Changes of pitch and timbre by the WORLD vocoder, where synthesizers do not support them."""

import numpy as np
import pyworld

from data.synthetic.voices import Colour

FRAME_MS = 10.0  # half the cost of the usual 5 ms, and fine enough
_F0_FLOOR, _F0_CEILING = 50.0, 500.0


def change(
    samples: np.ndarray,
    sample_rate: int,
    pitch: float = 1.0,
    pitch_range: float = 1.0,
    colour: Colour | None = None,
) -> np.ndarray:
    """Resynthesizes speech with another F0 and spectrum, with unchanged timing.

    Args:
        samples: `[T]`, float32.
        sample_rate: in Hz.
        pitch: factor on F0.
        pitch_range: factor on the deviation of log-F0 from its mean.
        colour: the new timbre; None keeps it.

    Returns:
        Samples `[T]`, float32.
    """
    signal = samples.astype(np.float64)
    f0, times = pyworld.dio(
        signal, sample_rate, f0_floor=_F0_FLOOR, f0_ceil=_F0_CEILING, frame_period=FRAME_MS
    )
    f0 = pyworld.stonemask(signal, f0, times, sample_rate)
    spectrum = pyworld.cheaptrick(signal, f0, times, sample_rate)
    aperiodicity = pyworld.d4c(signal, f0, times, sample_rate)
    if colour is not None:
        spectrum = _coloured(spectrum, colour)
        aperiodicity = aperiodicity ** (1 - 0.8 * colour.breath)
    result = pyworld.synthesize(
        _moved(f0, pitch, pitch_range), spectrum, aperiodicity, sample_rate, FRAME_MS
    )
    length = samples.shape[0]
    return np.pad(result, (0, max(0, length - result.shape[0])))[:length].astype(np.float32)


def mean_f0(samples: np.ndarray, sample_rate: int) -> float:
    """Mean F0 over voiced frames, in Hz; 0 without any. Fast: 10 ms frames, no refinement."""
    f0, _ = pyworld.dio(
        samples.astype(np.float64), sample_rate, f0_floor=_F0_FLOOR, f0_ceil=_F0_CEILING,
        frame_period=10.0, channels_in_octave=2, speed=6,
    )  # fmt: skip
    voiced = f0[f0 > 0]
    return float(voiced.mean()) if voiced.size else 0.0


def _moved(f0: np.ndarray, pitch: float, pitch_range: float) -> np.ndarray:
    voiced = f0 > 0
    if not voiced.any():
        return f0
    moved = np.zeros_like(f0)
    log_f0 = np.log(f0[voiced])
    moved[voiced] = np.exp(log_f0.mean() + (log_f0 - log_f0.mean()) * pitch_range) * pitch
    return moved


def _coloured(spectrum: np.ndarray, colour: Colour) -> np.ndarray:
    """Warps the frequency axis of a power spectrum `[T, F]`, mostly in the middle, and tilts it."""
    num_bins = spectrum.shape[1]
    axis = np.linspace(0.0, 1.0, num_bins)
    source = np.clip(axis + colour.bend * np.sin(np.pi * axis) * axis, 0.0, 1.0) * (num_bins - 1)
    low = np.minimum(source.astype(int), num_bins - 2)
    part = source - low
    bent = spectrum[:, low] * (1 - part) + spectrum[:, low + 1] * part
    return np.ascontiguousarray(bent * 10 ** (colour.tilt_db * axis / 10))
