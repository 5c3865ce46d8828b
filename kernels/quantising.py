"""Rounds matrices to int8 with one scale per row."""

import torch
from torch import Tensor

_SMALLEST_SCALE = 1e-7  # representable in float16


def quantise(matrix: Tensor, scale_type: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Quantises `[N, ...]` to int8 `[N, ...]` with one scale per row `[N]` (row maximum = 127).

    `scale_type` is the scale's dtype; the integers compensate for its rounding.
    """
    rows = matrix.float().flatten(1)
    scale = (rows.abs().amax(1) / 127).clamp_min(_SMALLEST_SCALE).to(scale_type)
    weight_int8 = (rows / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return weight_int8.view(matrix.shape), scale
