"""What the fast operation computes, as PyTorch's own operations."""

import torch
from torch import Tensor


def nucleus_reference(logits: Tensor, temperature: float, mass: float) -> Tensor:
    """The most likely codes whose probabilities sum to `mass`, one at least (arXiv 1904.09751,
    section 3.1).

    Args:
        logits: `[K]`.
        temperature: divides them; over 0.
        mass: over 0, at most 1.

    Returns:
        Their probabilities, 0 for all others, `[K]`.
    """
    probabilities = (logits.float() / temperature).softmax(-1)
    ranked, order = probabilities.sort(descending=True)
    kept = ranked * (ranked.cumsum(0) - ranked < mass)
    return torch.zeros_like(probabilities).scatter(0, order, kept / kept.sum())
