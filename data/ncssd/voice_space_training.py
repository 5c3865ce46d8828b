"""Fits the voice space to recordings simulated from corpora."""

import random
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from scipy.linalg import eigh

from data.audio import SAMPLE_RATE, resample
from data.audio.voice_embedding import embed_windows, unit
from data.audio.voice_space import DIM, VoiceSpace
from data.errors import InputError
from data.files import atomic_write
from data.ncssd.truth.clips import read_corpora
from data.ncssd.truth.conditions import record
from data.ncssd.truth.timeline import make_timeline, spoken_alone

_SHRINKAGE = 0.3
_LINE_S = 150.0
_CONDITIONS = {"clean": 0.3, "noise": 0.15, "music": 0.1, "room": 0.2, "telephone": 0.25}
_SNR_DB = (5.0, 30.0)


def fit(embeddings: np.ndarray, voices: list[str], dim: int = DIM) -> VoiceSpace:
    """Fits the discriminant directions.

    Args:
        embeddings: `[N, 256]`.
        voices: the voice of each.
        dim: number of directions to keep.

    Raises:
        InputError: fewer than 3 voices.
    """
    names = np.array(voices)
    if len(set(voices)) < 3:
        raise InputError(f"{len(set(voices))} voices; at least 3 are needed to fit the voice space")
    mean = embeddings.mean(axis=0)
    size = embeddings.shape[1]
    within, between = np.zeros((size, size)), np.zeros((size, size))
    for name in sorted(set(voices)):
        own = embeddings[names == name]
        centre = own.mean(axis=0)
        within += (own - centre).T @ (own - centre)
        between += own.shape[0] * np.outer(centre - mean, centre - mean)
    within /= embeddings.shape[0]
    between /= embeddings.shape[0]
    within = (1 - _SHRINKAGE) * within + _SHRINKAGE * np.trace(within) / size * np.eye(size)
    _, directions = eigh(between, within)
    projection = directions[:, ::-1][:, :dim]
    return VoiceSpace(mean.astype(np.float32), projection.astype(np.float32).copy())


def fit_and_save(corpora: list[Path], weights: Path, minutes: float, limit: int, seed: int) -> int:
    """Simulates recordings, embeds their turns, fits and saves; returns the number of turns."""
    torch.set_num_threads(1)
    clips = read_corpora(corpora, limit)
    parts, voices, seconds, index = [], [], 0.0, 0
    while seconds < minutes * 60:
        embeddings, names, duration = _recording(clips, seed, index)
        parts.append(embeddings)
        voices += names
        seconds += duration
        index += 1
    space = fit(np.concatenate(parts), voices)
    weights.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(weights, save({"mean": space.mean, "projection": space.projection}))
    return len(voices)


def _recording(clips: dict, seed: int, index: int) -> tuple[np.ndarray, list[str], float]:
    """A simulated recording: embeddings `[N, 256]` of its turns without overlap, their voices, and
    its duration in seconds."""
    line = make_timeline(clips, _LINE_S, random.Random(f"voices-{seed}-{index}"))
    rng = np.random.default_rng([seed, 11, index])
    condition = str(rng.choice(list(_CONDITIONS), p=list(_CONDITIONS.values())))
    samples = record(line, condition, rng.uniform(*_SNR_DB), rng)
    band = int(rng.choice([8_000, 16_000, SAMPLE_RATE]))
    samples = resample(resample(samples, SAMPLE_RATE, band), band, 16_000)
    names, groups = spoken_alone(line, 0.3)
    windows = embed_windows(samples, groups)
    means = [unit(embeddings.mean(axis=0)) for _, embeddings in windows]
    return np.stack(means), names, line.duration
