"""Finite scalar quantisation: codes without a codebook to collapse."""

import math

import torch
from torch import Tensor, nn


class FSQ(nn.Module):
    """Rounds each of a few bounded numbers to one of `levels[i]` values.

    "Finite Scalar Quantization: VQ-VAE Made Simple" (arXiv 2309.15505, section 3). `forward` takes
    `[..., D]` and returns the quantised values, in -1 to 1 with a straight-through gradient, and
    the codes `[...]` in 0 to `prod(levels) - 1`.
    """

    levels: Tensor
    basis: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.num_codes = math.prod(levels)
        sizes = torch.tensor(levels)
        basis = torch.cumprod(torch.tensor([1, *levels[:-1]]), dim=0)
        self.register_buffer("levels", sizes, persistent=False)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Every level is an equal share of the range of a tanh, also for even numbers of levels.
        unit = (torch.tanh(x.float()) + 1) / 2
        index = (unit * self.levels).floor().clamp_min(0).minimum(self.levels - 1)
        hard = self.to_values(index)
        soft = 2 * unit - 1
        return soft + (hard - soft).detach(), (index.long() * self.basis).sum(-1)

    def to_values(self, index: Tensor) -> Tensor:
        """Level indices `[..., D]` to the middles of the levels, in -1 to 1."""
        return (2 * index + 1) / self.levels - 1

    def decode(self, codes: Tensor) -> Tensor:
        """Codes `[...]` to values `[..., D]`."""
        index = codes[..., None] // self.basis % self.levels
        return self.to_values(index)
