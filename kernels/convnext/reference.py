"""The reference implementation in plain PyTorch."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.depthwise_norm import depthwise_norm_reference


class StackWeights(NamedTuple):
    """Float32 weights of D blocks with C channels, M inside, and K taps."""

    taps: Tensor  # [D, C, 1, K]
    taps_bias: Tensor  # [D, C]
    expand: Tensor  # [D, M, C]
    expand_bias: Tensor  # [D, M]
    reduce: Tensor  # [D, C, M]
    reduce_bias: Tensor  # [D, C]


def convnext_stack_reference(
    x: Tensor, past: Tensor, weights: StackWeights, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """D residual blocks (arXiv 2201.03545, section 2) in one dimension, causal.

    Args:
        x: the next frames of B streams, `[B, T, C]`.
        past: the K - 1 inputs of each block before them, `[B, D, K - 1, C]`.
        weights: of the blocks.
        scale: after normalisation, `[B or 1, D, C]`.
        shift: likewise.

    Returns:
        `[B, T, C]`, and the next `past`.
    """
    kept = []
    for layer in range(past.shape[1]):
        taps, taps_bias, expand, expand_bias, reduce, reduce_bias = (w[layer] for w in weights)
        joined = torch.cat([past[:, layer], x], dim=1)
        kept.append(joined[:, x.shape[1] :])
        h = depthwise_norm_reference(joined, taps, taps_bias, scale[:, layer], shift[:, layer])
        h = F.gelu(F.linear(h, expand, expand_bias), approximate="tanh")
        x = x + F.linear(h, reduce, reduce_bias)
    return x, torch.stack(kept, 1)
