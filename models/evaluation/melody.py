"""Pitch by pYIN, spectra by WORLD, and comparison of two renditions of one text."""

from typing import TypedDict

import numpy as np

from data.audio import SAMPLE_RATE, resample

F0_RANGE_HZ = (60.0, 500.0)
FRAME_S = 0.016
_RATE = 16_000
_HOP = 256  # 16 ms at 16 kHz
_NUM_CEPSTRA = 25
_NUM_BANDS = 64
_ACTIVE_DB = 35.0


def track_pitch(samples: np.ndarray) -> np.ndarray:
    """F0 in Hz every 16 ms by pYIN, 0 where unvoiced, `[frames]`."""
    import librosa

    wide = resample(samples, SAMPLE_RATE, _RATE)
    if len(wide) < 1024:
        return np.zeros(0)
    low, high = F0_RANGE_HZ
    f0, voiced, _ = librosa.pyin(
        wide, fmin=low, fmax=high, sr=_RATE, frame_length=1024, hop_length=_HOP
    )
    return np.where(voiced, np.nan_to_num(f0), 0.0)


class Melody(TypedDict):
    """Prosody of a recording: F0 mean (Hz, over voiced frames), F0 standard deviation (semitones),
    share voiced, duration from first to last sound (s), level (dBFS)."""

    f0_hz: float
    range_semitones: float
    voiced: float
    active_s: float
    level_db: float


def melody(samples: np.ndarray) -> Melody:
    """Measures the prosody of samples `[T]`."""
    f0 = track_pitch(samples)
    voiced = f0[f0 > 0]
    active = active_part(samples)
    level = 10 * np.log10(np.mean(np.square(active)) + 1e-9) if len(active) else -90.0
    return Melody(
        f0_hz=float(np.exp(np.log(voiced).mean())) if len(voiced) else 0.0,
        range_semitones=float(12 * np.log2(voiced).std()) if len(voiced) else 0.0,
        voiced=float(len(voiced) / len(f0)) if len(f0) else 0.0,
        active_s=len(active) / SAMPLE_RATE,
        level_db=float(level),
    )


def active_part(samples: np.ndarray) -> np.ndarray:
    """Samples `[T]` from the first to the last 10 ms that are within 35 dB of the loudest."""
    start, end = active_span(samples)
    return samples[start:end]


def active_span(samples: np.ndarray) -> tuple[int, int]:
    """Start and end of `active_part` in samples; (0, 0) for silence."""
    hop = SAMPLE_RATE // 100
    frames = samples[: len(samples) // hop * hop].reshape(-1, hop)
    if len(frames) == 0:
        return 0, 0
    level = 10 * np.log10(np.square(frames).mean(1) + 1e-9)
    loud = np.flatnonzero(level > max(level.max() - _ACTIVE_DB, -70.0))
    return (int(loud[0]) * hop, int(loud[-1] + 1) * hop) if len(loud) else (0, 0)


def mel_cepstra(samples: np.ndarray) -> np.ndarray:
    """Mel-cepstra `[frames, 25]` every 16 ms of WORLD's spectral envelope, up to 8 kHz.

    `c` is such that the log-amplitude on the mel scale is the sum over m of `c_m cos(m w)`. Values
    are floored at 80 dB below the maximum, so that silence is equal everywhere.
    """
    import librosa
    import pyworld

    wide = resample(samples, SAMPLE_RATE, _RATE).astype(np.float64)
    f0, times = pyworld.dio(wide, _RATE, frame_period=1000 * FRAME_S)
    power = pyworld.cheaptrick(wide, f0, times, _RATE)
    power = np.maximum(power, power.max() * 1e-8)
    mels = librosa.mel_frequencies(_NUM_BANDS, fmin=0.0, fmax=_RATE / 2)
    bins = mels / (_RATE / 2) * (power.shape[1] - 1)
    low = np.minimum(bins.astype(int), power.shape[1] - 2)
    share = bins - low
    log_amplitude = 0.5 * np.log(power)
    warped = log_amplitude[:, low] * (1 - share) + log_amplitude[:, low + 1] * share
    angles = np.pi * (np.arange(_NUM_BANDS) + 0.5) / _NUM_BANDS
    basis = np.cos(np.arange(_NUM_CEPSTRA)[:, None] * angles) * 2 / _NUM_BANDS
    basis[0] /= 2
    return warped @ basis.T


class Comparison(TypedDict):
    """Distance between two renditions of the same text.

    `mcd_db`: mel-cepstral distortion (coefficients 1 to 24) along the DTW path. `f0_rmse_hz`: along
    that path where both are voiced. `pitch_dtw_hz`: mean distance of the voiced F0 contours under
    their own DTW. Both are NaN without such frames. `duration`: relative difference of the active
    durations.
    """

    mcd_db: float
    f0_rmse_hz: float
    pitch_dtw_hz: float
    duration: float


def compare(reference: np.ndarray, made: np.ndarray) -> Comparison | None:
    """Compares two renditions of one text; None if either is silent."""
    import librosa

    reference, made = active_part(reference), active_part(made)
    if min(len(reference), len(made)) < SAMPLE_RATE // 5:
        return None
    first, second = mel_cepstra(reference)[:, 1:], mel_cepstra(made)[:, 1:]
    _, path = librosa.sequence.dtw(first.T, second.T, metric="euclidean")
    distance = np.linalg.norm(first[path[:, 0]] - second[path[:, 1]], axis=1)
    f0_first, f0_second = track_pitch(reference), track_pitch(made)
    a = f0_first[np.minimum(path[:, 0], len(f0_first) - 1)]
    b = f0_second[np.minimum(path[:, 1], len(f0_second) - 1)]
    both = (a > 0) & (b > 0)
    return Comparison(
        mcd_db=float(10 / np.log(10) * np.sqrt(2) * distance.mean()),
        f0_rmse_hz=float(np.sqrt(np.mean((a - b)[both] ** 2))) if both.any() else np.nan,
        pitch_dtw_hz=_pitch_dtw(f0_first[f0_first > 0], f0_second[f0_second > 0]),
        duration=abs(len(made) - len(reference)) / len(reference),
    )


def _pitch_dtw(first: np.ndarray, second: np.ndarray) -> float:
    import librosa

    if min(len(first), len(second)) < 2:
        return float("nan")
    _, path = librosa.sequence.dtw(first[None], second[None], metric="euclidean")
    return float(np.abs(first[path[:, 0]] - second[path[:, 1]]).mean())


class PitchCopy(TypedDict):
    """F0 error of a time-aligned copy: median absolute error in cents where both are voiced (NaN if
    nowhere), and the share of frames with different voicing."""

    cents: float
    voicing_errors: float


def pitch_copy(reference: np.ndarray, made: np.ndarray) -> PitchCopy:
    """Compares F0 of a time-aligned copy with its original."""
    a, b = track_pitch(reference), track_pitch(made)
    length = min(len(a), len(b))
    a, b = a[:length], b[:length]
    both = (a > 0) & (b > 0)
    cents = 1200 * np.abs(np.log2(a[both] / b[both]))
    return PitchCopy(
        cents=float(np.median(cents)) if len(cents) else np.nan,
        voicing_errors=float(np.mean((a > 0) != (b > 0))),
    )
