"""Voice embeddings of windows of speech, by Resemblyzer's network."""

import itertools

import numpy as np

from data.audio import models
from data.audio.features import mel_power

Span = tuple[int, int]  # first 20 ms frame, and one past the last

WINDOW_S, HOP_S = 1.2, 0.4
_LEVEL = 10 ** (-30 / 20)  # the encoder's training level, -30 dBFS
_BATCH = 64


def embed_windows(
    samples: np.ndarray, groups: list[list[Span]], window_s: float = WINDOW_S, hop_s: float = HOP_S
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each group of spans, its windows' first frames `[N]` (counted within the spans) and
    embeddings `[N, 256]`.

    Speech shorter than a window is repeated to fill one.
    """
    mel = mel_power(samples)
    size, hop = round(window_s * 100), round(hop_s * 100)
    windows: list[np.ndarray] = []
    starts_of: list[np.ndarray] = []
    for spans in groups:
        part = np.concatenate([mel[2 * a : 2 * b] for a, b in spans])
        level = np.concatenate([samples[a * 320 : b * 320] for a, b in spans])
        part = part * (_LEVEL**2 / (float((level**2).mean()) + 1e-10))
        if part.shape[0] < size:
            part = np.tile(part, (-(-size // part.shape[0]), 1))[:size]
        starts = np.arange(0, part.shape[0] - size + 1, hop)
        windows += [part[s : s + size] for s in starts]
        starts_of.append(starts // 2)
    encoder = models.voice_encoder()
    embeddings = np.concatenate(
        [
            encoder(np.stack(windows[i : i + _BATCH]).astype(np.float32))
            for i in range(0, len(windows), _BATCH)
        ]
    )
    edges = np.cumsum([0, *(starts.shape[0] for starts in starts_of)])
    parts = [embeddings[a:b] for a, b in itertools.pairwise(edges)]
    return list(zip(starts_of, parts, strict=True))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Normalises vectors to unit length along the last axis."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
