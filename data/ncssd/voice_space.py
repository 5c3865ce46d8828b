"""The space in which voices are compared: resemblyzer's embeddings, linearly transformed.

Resemblyzer's own cosine puts voices of one sex close together. A linear discriminant analysis,
fitted to voices of a corpus in several manners and backgrounds, keeps the directions in which
people differ more than one person does (Fisher 1936; the within-class covariance is shrunk
towards a multiple of the identity).
"""

import functools
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from data.errors import check_made

WEIGHTS = Path(__file__).parent / "weights" / "voices.safetensors"
DIM = 50


class VoiceSpace:
    """Embeddings [N, 256] to unit vectors [N, 50]."""

    def __init__(self, mean: np.ndarray, projection: np.ndarray) -> None:
        self.mean, self.projection = mean, projection

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        moved = (embeddings - self.mean) @ self.projection
        return moved / (np.linalg.norm(moved, axis=1, keepdims=True) + 1e-9)


@functools.cache
def load_voice_space(weights: Path = WEIGHTS) -> VoiceSpace:
    """The fitted space. Raises MissingModelError when its file is not there."""
    check_made(weights, "build train-voices CORPUS")
    stored = load_file(weights)
    return VoiceSpace(stored["mean"], stored["projection"])
