"""y = x W^T + b in float32, with W prepacked for the fastest product.

PyTorch dispatches to MKL, which uses only AVX2 on non-Intel CPUs even if they have AVX-512; oneDNN
then takes less than half the time (`benchmark.py`), and a fused GELU is almost free. On CPUs with
only AVX2, panels (`kernels/panels.py`) are faster than either, above all for few rows.
"""

from typing import Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.panels import multiply, panels_of
from kernels.processor import has_only_avx2

# oneDNN compiles and caches a product per number of rows (0.4 MB and 1 ms each), so rows are padded
# to these sizes. On AVX-512 a row's result does not depend on the size.
TILES = (8, 16, 32, 64)


class PackedLinear(nn.Module):
    """Replaces a trained `nn.Linear`: inputs `[..., K]`, outputs `[..., N]`, float32."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._product = _product_of(linear.weight, linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self._product(x, "none")

    def with_gelu(self, x: Tensor) -> Tensor:
        """The outputs after a GELU (tanh approximation)."""
        return self._product(x, "gelu")


class PackedConv1d(nn.Module):
    """Replaces a trained `nn.Conv1d` without groups and dilation: `[B, C, T]` to `[B, N, T']`.
    Fast for a transposed `[B, T, C]`, as our causal convolutions pass."""

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        self.in_channels, self.out_channels = conv.in_channels, conv.out_channels
        self.kernel, self.stride = conv.kernel_size[0], conv.stride[0]
        [self.padding] = cast(tuple[int], conv.padding)
        self._product = _product_of(conv.weight.transpose(1, 2).flatten(1), conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        rows = F.pad(x.transpose(1, 2), (0, 0, self.padding, self.padding))
        windows = rows.unfold(1, self.kernel, self.stride).transpose(2, 3)
        return self._product(windows.flatten(2), "none").transpose(1, 2)


def _product_of(weight: Tensor, bias: Tensor | None) -> "_PanelProduct | _TiledProduct":
    """The faster product with a matrix `[N, K]` on this CPU."""
    kind = _PanelProduct if has_only_avx2() else _TiledProduct
    return kind(weight.detach().float(), None if bias is None else bias.detach().float())


class _PanelProduct:
    """A matrix `[N, K]` in panels, and a bias; not a module either."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._width = len(weight)
        self._panels = panels_of(weight, bias)

    def __call__(self, x: Tensor, activation: str) -> Tensor:
        rows = x.reshape(-1, x.shape[-1]).contiguous()
        made = torch.empty(len(rows), self._width)
        multiply(rows.numpy(), *self._panels, made.numpy())
        made = F.gelu(made, approximate="tanh") if activation == "gelu" else made
        return made.view(*x.shape[:-1], self._width)


class _TiledProduct:
    """A matrix `[N, K]` in oneDNN's layout, and a bias. Not a module: the layout cannot move to
    another device or dtype, nor into a state dict."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._width = len(weight)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())
        self._bias = bias

    def __call__(self, x: Tensor, activation: str) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        made = [self._tile(tile, activation) for tile in rows.split(TILES[-1])]
        joined = made[0] if len(made) == 1 else torch.cat(made)
        return joined.view(*x.shape[:-1], self._width)

    def _tile(self, rows: Tensor, activation: str) -> Tensor:
        count = len(rows)
        size = next(size for size in TILES if size >= count)
        if size > count:
            rows = F.pad(rows, (0, 0, 0, size - count))
        approximation = "tanh" if activation == "gelu" else ""
        made = torch.ops.mkldnn._linear_pointwise(
            rows, self._weight, self._bias, activation, [], approximation
        )
        return made[:count]


@runtime_checkable
class Packable(Protocol):
    """A module with a faster equivalent for CPUs with only AVX2."""

    def packed(self) -> nn.Module: ...


def with_packed_layers(model: nn.Module) -> nn.Module:
    """Replaces every `nn.Linear`, and every `nn.Conv1d` that `PackedConv1d` supports, in `model` by
    packed layers and returns it. Does nothing if PyTorch was built without oneDNN."""
    if not torch.backends.mkldnn.is_available():
        return model
    for name, child in model.named_children():
        if isinstance(child, Packable) and has_only_avx2():
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
