"""Naturalness, noisiness, intelligibility and speaker similarity."""

import numpy as np
import torch

from data.audio import SAMPLE_RATE, resample
from data.audio.models import MOS_SAMPLES, dnsmos_overall, voice_encoder
from models.evaluation import judges

_RATE = 16_000
_STEP_S = 4.5
_SILENT = 1e-4
_PARTS = (1.3, 0.75)  # resemblyzer's defaults: slices per second, minimum coverage of the last


def distillmos(samples: np.ndarray) -> float:
    """Naturalness of samples `[T]` by DistillMOS: a mean opinion score from 1 to 5."""
    wide = torch.from_numpy(resample(samples, SAMPLE_RATE, _RATE).astype(np.float32))
    if not len(wide) or wide.abs().max() < _SILENT:
        return 1.0
    with torch.inference_mode():
        return float(judges.distillmos()(wide[None]))


def dnsmos(samples: np.ndarray) -> float:
    """DNSMOS overall (P.835) of samples `[T]`.

    speechmos doubles short audio up to 9 s and averages over many windows; here it is repeated to
    exactly one window, at a sixth of the cost. Scores differ by 0.025 (standard deviation over nine
    sentences), equally for teacher and model.
    """
    wide = np.clip(resample(samples, SAMPLE_RATE, _RATE), -1, 1).astype(np.float32)
    if len(wide) <= MOS_SAMPLES:
        wide = np.resize(wide, MOS_SAMPLES)
    starts = range(0, len(wide) - MOS_SAMPLES + 1, int(_STEP_S * _RATE))
    return float(dnsmos_overall(np.stack([wide[at : at + MOS_SAMPLES] for at in starts])).mean())


def voice_embedding(samples: np.ndarray) -> list[float]:
    """Speaker embedding by resemblyzer, a unit vector `[256]`; zeros for silence.

    The package preprocesses and slices the audio, for figures comparable to published ones; the
    network is the builder's copy, which is loaded without unpickling.
    """
    if np.abs(samples).max(initial=0) < _SILENT:
        return [0.0] * 256
    resemblyzer = judges.package("resemblyzer", "whose voice it is")
    prepared = resemblyzer.preprocess_wav(samples, source_sr=SAMPLE_RATE)
    if len(prepared) < _RATE // 10:  # its voice activity detector found no speech
        prepared = resample(samples, SAMPLE_RATE, _RATE)
    parts, of_mel = resemblyzer.VoiceEncoder.compute_partial_slices(len(prepared), *_PARTS)
    padded = np.pad(prepared, (0, max(0, parts[-1].stop - len(prepared))))
    mel = resemblyzer.audio.wav_to_mel_spectrogram(padded)
    mean = voice_encoder().embed(np.stack([mel[part] for part in of_mel])).mean(axis=0)
    return [round(float(value), 6) for value in mean / np.linalg.norm(mean)]


def similarity(first: list[float], second: list[float] | np.ndarray) -> float:
    """Cosine similarity of two embeddings."""
    a, b = np.asarray(first), np.asarray(second)
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9))


def centroid(embeddings: list[list[float]]) -> list[float]:
    """Normalised mean of several embeddings of one voice."""
    mean = np.mean(embeddings, axis=0)
    return list(mean / max(np.linalg.norm(mean), 1e-9))


def _pair(reference: np.ndarray, made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    length = min(len(reference), len(made))
    return (
        resample(reference[:length], SAMPLE_RATE, _RATE),
        resample(made[:length], SAMPLE_RATE, _RATE),
    )


def stoi(reference: np.ndarray, made: np.ndarray) -> float:
    """Short-time objective intelligibility (0 to 1) of `made` against its original."""
    package = judges.package("pystoi", "how intelligible a copy is (STOI)")
    return float(package.stoi(*_pair(reference, made), _RATE))
