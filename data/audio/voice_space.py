"""The voice space: a linear projection of resemblyzer's embeddings.

In resemblyzer's own space, voices of the same sex are close together. Linear discriminant analysis,
fitted to voices in several manners and backgrounds, keeps the directions in which people differ
more than one person varies (Fisher 1936; with the within-class covariance shrunk towards a multiple
of the identity).
"""

import functools
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from data.errors import check_made

WEIGHTS = Path(__file__).parent / "weights" / "voices.safetensors"
DIM = 50


class VoiceSpace:
    """Projects embeddings `[N, 256]` to unit vectors `[N, 50]`."""

    def __init__(self, mean: np.ndarray, projection: np.ndarray) -> None:
        self.mean, self.projection = mean, projection

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        moved = (embeddings - self.mean) @ self.projection
        return moved / (np.linalg.norm(moved, axis=1, keepdims=True) + 1e-9)


@functools.cache
def load_voice_space(weights: Path = WEIGHTS) -> VoiceSpace:
    """Loads the fitted space. Raises MissingModelError if its file is missing."""
    check_made(weights, "build train-voices CORPUS")
    stored = load_file(weights)
    return VoiceSpace(stored["mean"], stored["projection"])
