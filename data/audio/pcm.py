"""The only conversion between 16-bit and float samples; a round trip is lossless.

Full scale is 32767 in both directions. Decoded files keep their decoder's scale.
"""

import numpy as np

from data.errors import InputError

FULL_SCALE = 32767


def to_int16(samples: np.ndarray) -> np.ndarray:
    """Float samples, -1 to 1, as int16, clipped beyond; int16 is returned as it is.

    Raises:
        InputError: NaN or infinity among them.
    """
    samples = np.asarray(samples)
    if samples.dtype == np.int16:
        return samples
    if not np.isfinite(samples).all():
        raise InputError("the samples to write are not all numbers (NaN or infinite)")
    return np.clip(np.rint(samples * float(FULL_SCALE)), -32768, 32767).astype(np.int16)


def to_float(pcm: np.ndarray) -> np.ndarray:
    """int16 samples as float32."""
    return pcm.astype(np.float32) / FULL_SCALE


def to_bytes(samples: np.ndarray) -> bytes:
    """Float or int16 samples as little-endian 16-bit PCM; raises like `to_int16`."""
    return to_int16(samples).astype("<i2").tobytes()


def from_bytes(content: bytes) -> np.ndarray:
    """Little-endian 16-bit PCM as float32."""
    return to_float(np.frombuffer(content, "<i2"))
