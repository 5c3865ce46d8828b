"""Mel spectrograms and harmonic features for the builder's networks, in NumPy."""

import functools

import numpy as np

RATE = 16_000
HOP = 160  # 10 ms
FRAME_S = 0.02  # frame of the segmentation network
_FFT = 400
_FINE_FFT, _FINE_HOP = 1024, 320
_ENVELOPE = 17  # bins


@functools.cache
def mel_matrix(num_mels: int) -> np.ndarray:
    """Slaney mel filters `[num_mels, 201]`, area-normalised, for 16 kHz and a 400-point FFT."""
    from torchaudio.functional import melscale_fbanks

    num_bins = _FFT // 2 + 1
    return melscale_fbanks(num_bins, 0.0, RATE / 2, num_mels, RATE, "slaney", "slaney").numpy().T


def mel_power(samples: np.ndarray, num_mels: int = 40) -> np.ndarray:
    """Mel power spectrogram `[T // 160 + 1, num_mels]` of samples `[T]` at 16 kHz, centred."""
    padded = np.pad(samples, _FFT // 2)
    num = samples.shape[0] // HOP + 1
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::HOP][:num]
    window = np.hanning(_FFT + 1)[:-1].astype(np.float32)
    out = np.empty((num, num_mels), np.float32)
    for first in range(0, num, 3000):  # in blocks, to bound memory
        spectrum = np.fft.rfft(frames[first : first + 3000] * window)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        out[first : first + 3000] = power @ mel_matrix(num_mels).T
    return out


def harmonics(samples: np.ndarray, num_bins: int = 128) -> np.ndarray:
    """The fine structure of the spectrum, `[T // 320 + 1, num_bins]` with 15.6 Hz per bin.

    Log power from 62 Hz upwards in windows of 64 ms, minus its moving average over 266 Hz. The
    harmonics of a voice form a comb; two simultaneous voices form two.
    """
    padded = np.pad(samples, _FINE_FFT // 2)
    num = samples.shape[0] // _FINE_HOP + 1
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FINE_FFT)[::_FINE_HOP][:num]
    window = np.hanning(_FINE_FFT + 1)[:-1].astype(np.float32)
    first, half = 4, _ENVELOPE // 2
    out = np.empty((num, num_bins), np.float32)
    for block in range(0, num, 1000):
        spectrum = np.fft.rfft(frames[block : block + 1000] * window)[:, : first + num_bins + half]
        log = np.log(spectrum.real**2 + spectrum.imag**2 + 1e-7).astype(np.float32)
        sums = np.cumsum(np.pad(log, ((0, 0), (half - first + 1, 0)), mode="edge"), axis=1)
        mean = (sums[:, _ENVELOPE:] - sums[:, :-_ENVELOPE]) / _ENVELOPE
        out[block : block + 1000] = (log[:, first : first + num_bins] - mean) / 3.0
    return out
