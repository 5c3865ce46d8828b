"""The reference implementation in plain PyTorch."""

import torch.nn.functional as F
from torch import Tensor


def depthwise_norm_reference(
    x: Tensor, weight: Tensor, bias: Tensor | None, scale: Tensor, shift: Tensor
) -> Tensor:
    """The first half of a ConvNeXt block (arXiv 2201.03545, section 2) in one dimension.

    Args:
        x: `[B, K - 1 + T, C]`, with K - 1 past frames in front.
        weight: convolution weight `[C, 1, K]`.
        bias: convolution bias `[C]`.
        scale: scale after normalisation, `[B, C]` or `[1, C]`.
        shift: shift after normalisation, likewise.

    Returns:
        `[B, T, C]`.
    """
    convolved = F.conv1d(x.transpose(1, 2), weight, bias, groups=len(weight)).transpose(1, 2)
    normed = F.layer_norm(convolved, convolved.shape[-1:])
    return normed * scale[:, None] + shift[:, None]
