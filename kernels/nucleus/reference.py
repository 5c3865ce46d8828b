"""The reference implementation in plain PyTorch."""

import torch
from torch import Tensor


def nucleus_reference(logits: Tensor, temperature: float, mass: float) -> Tensor:
    """Probabilities after temperature and nucleus truncation to a total of `mass`, at least one
    code (arXiv 1904.09751, section 3.1).

    Args:
        logits: `[K]`.
        temperature: divides the logits; above 0.
        mass: top-p, above 0 and at most 1.

    Returns:
        Probabilities `[K]`, 0 for truncated codes.
    """
    probabilities = (logits.float() / temperature).softmax(-1)
    ranked, order = probabilities.sort(descending=True)
    kept = ranked * (ranked.cumsum(0) - ranked < mass)
    return torch.zeros_like(probabilities).scatter(0, order, kept / kept.sum())
