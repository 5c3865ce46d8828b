"""Voice embeddings of windows of speech, by Resemblyzer's network."""

import itertools
from collections.abc import Callable

import numpy as np

from data.audio import models
from data.audio.features import mel_power

Span = tuple[int, int]  # first 20 ms frame, and one past the last

WINDOW_S, HOP_S = 1.2, 0.4
_LEVEL = 10 ** (-30 / 20)  # the encoder's training level, -30 dBFS
_BATCH = 64


def embed_windows(
    samples: np.ndarray,
    groups: list[list[Span]],
    window_s: float = WINDOW_S,
    hop_s: float = HOP_S,
    encode: Callable[[np.ndarray], np.ndarray] | None = None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each group of spans, its windows' first frames `[N]` (counted within the spans) and
    embeddings `[N, 256]`.

    Args:
        samples: `[T]` at 16 kHz.
        groups: spans of one person's speech each.
        window_s: length of a window; speech shorter than that is repeated to fill one.
        hop_s: distance between windows.
        encode: the network, mel power `[B, T, 40]` to embeddings `[B, 256]`; None for
            resemblyzer's.
    """
    network = encode or models.voice_encoder().embed
    found = windows_of(samples, groups, window_s, hop_s)
    windows = [window for _, own in found for window in own]
    embeddings = np.concatenate(
        [network(np.stack(windows[i : i + _BATCH])) for i in range(0, len(windows), _BATCH)]
    )
    edges = np.cumsum([0, *(len(own) for _, own in found)])
    parts = [embeddings[a:b] for a, b in itertools.pairwise(edges)]
    return [(starts, part) for (starts, _), part in zip(found, parts, strict=True)]


def windows_of(
    samples: np.ndarray, groups: list[list[Span]], window_s: float = WINDOW_S, hop_s: float = HOP_S
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each group of spans, its windows' first frames `[N]` and mel power `[N, T, 40]`, at the
    level on which resemblyzer's network was trained."""
    mel = mel_power(samples)
    size, hop = round(window_s * 100), round(hop_s * 100)
    found = []
    for spans in groups:
        part = np.concatenate([mel[2 * a : 2 * b] for a, b in spans])
        level = np.concatenate([samples[a * 320 : b * 320] for a, b in spans])
        part = part * (_LEVEL**2 / (float((level**2).mean()) + 1e-10))
        if part.shape[0] < size:
            part = np.tile(part, (-(-size // part.shape[0]), 1))[:size]
        starts = np.arange(0, part.shape[0] - size + 1, hop)
        windows = np.stack([part[s : s + size] for s in starts]).astype(np.float32)
        found.append((starts // 2, windows))
    return found


def unit(vectors: np.ndarray) -> np.ndarray:
    """Normalises vectors to unit length along the last axis."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
