"""Sample rates: whole arrays and streams, by soxr."""

import numpy as np
import soxr

SAMPLE_RATE = 24_000  # Hz, of all sound inside the program


def resample(samples: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """Resamples [T] samples by soxr (high quality, linear phase); float32 out."""
    samples = np.asarray(samples, dtype=np.float32)
    if from_hz == to_hz or samples.shape[0] == 0:
        return samples
    return soxr.resample(samples, from_hz, to_hz).astype(np.float32, copy=False)


class StreamResampler:
    """Streaming resampler; its outputs concatenate to the resampled whole.

    Mono float32 [n] in, float32 [m] out. soxr holds back a few milliseconds until `flush`.
    """

    def __init__(self, from_hz: float, to_hz: float) -> None:
        self._same = from_hz == to_hz
        self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Takes the next samples [n]; returns the samples ready so far [m], possibly none."""
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        return samples if self._same else self._stream.resample_chunk(samples)

    def flush(self) -> np.ndarray:
        """Returns the buffered rest and resets the resampler."""
        empty = np.zeros(0, np.float32)
        if self._same:
            return empty
        rest = self._stream.resample_chunk(empty, last=True)
        self._stream.clear()
        return rest
