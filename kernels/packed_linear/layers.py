"""y = x W^T + b in float32, with W packed in panels (`kernels/panels.py`).

In the decoder's shapes that is faster than oneDNN on every CPU tried, three times for a few rows on
AVX-512, and than MKL for one row (`benchmark.py`). MKL uses only AVX2 on CPUs not by Intel.
"""

from typing import Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.panels import multiply, panels_of


class PackedLinear(nn.Module):
    """Replaces a trained `nn.Linear`: inputs `[..., K]`, outputs `[..., N]`, float32."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._product = _Product(linear.weight, linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self._product(x)


class PackedConv1d(nn.Module):
    """Replaces a trained `nn.Conv1d` without groups and dilation: `[B, C, T]` to `[B, N, T']`.
    Fast for a transposed `[B, T, C]`, as our causal convolutions pass."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.in_channels, self.out_channels = conv.in_channels, conv.out_channels
        self.kernel, self.stride = conv.kernel_size[0], conv.stride[0]
        [self.padding] = cast(tuple[int], conv.padding)
        self._product = _Product(conv.weight.transpose(1, 2).flatten(1), conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        rows = F.pad(x.transpose(1, 2), (0, 0, self.padding, self.padding))
        windows = rows.unfold(1, self.kernel, self.stride).transpose(2, 3)
        return self._product(windows.flatten(2)).transpose(1, 2)


class _Product:
    """The product with a matrix `[N, K]`, and a bias. Not a module: panels cannot move to another
    device or dtype, nor into a state dict."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._width = len(weight)
        self._panels = panels_of(weight, bias)

    def __call__(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        made = torch.empty(len(rows), self._width)
        multiply(rows.numpy(), *self._panels, made.numpy())
        return made.view(*x.shape[:-1], self._width)


@runtime_checkable
class Packable(Protocol):
    """A module with a faster equivalent for CPUs."""

    def packed(self) -> nn.Module: ...


def with_packed_layers(model: nn.Module) -> nn.Module:
    """Replaces every `Packable`, `nn.Linear`, and `nn.Conv1d` that `PackedConv1d` supports, in
    `model` and returns it."""
    for name, child in model.named_children():
        if isinstance(child, Packable):
            setattr(model, name, child.packed())
        elif isinstance(child, nn.Linear):
            setattr(model, name, PackedLinear(child))
        elif isinstance(child, nn.Conv1d) and _replaceable(child):
            setattr(model, name, PackedConv1d(child))
        else:
            with_packed_layers(child)
    return model


def _replaceable(conv: nn.Conv1d) -> bool:
    zeros = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    return conv.groups == 1 and conv.dilation == (1,) and zeros
