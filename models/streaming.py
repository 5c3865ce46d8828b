"""Causal building blocks with one code path for streaming and offline use.

`forward(x, state=None)` is offline without a state: the past is zero. Given a state of
`init_state`, it continues from the last call and updates the state in place; concatenated outputs
of successive chunks equal the output for the whole. Sequences are `[B, T, C]`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.depthwise_norm import depthwise_norm
from kernels.packed_linear import PackedLinear


@dataclass
class ConvState:
    """State of a causal convolution.

    Attributes:
        past: the last inputs, `[B, pad, C]`.
        modulation: scale and shift `[B, C]` of a conditioned block; constant within a stream.
    """

    past: Tensor
    modulation: tuple[Tensor, Tensor] | None = None

    def join(self, x: Tensor) -> Tensor:
        """Prepends the past to `x` `[B, T, C]`, giving `[B, pad + T, C]`, and keeps its end."""
        joined = torch.cat([self.past, x], dim=1)
        self.past = joined[:, x.shape[1] :]
        return joined


class CausalConv1d(nn.Module):
    """A convolution over the current and past frames, `[B, T, C_in]` to `[B, T, C_out]`.

    No delay, no look-ahead.
    """

    def __init__(self, in_dim: int, out_dim: int, kernel: int, groups: int = 1) -> None:
        super().__init__()
        self.pad = kernel - 1
        self.conv = nn.Conv1d(in_dim, out_dim, kernel, groups=groups)

    def init_state(self, batch: int, device: torch.device | str, dtype: torch.dtype) -> ConvState:
        channels = self.conv.in_channels
        return ConvState(torch.zeros(batch, self.pad, channels, device=device, dtype=dtype))

    def forward(self, x: Tensor, state: ConvState | None = None) -> Tensor:
        return self.conv(self.with_past(x, state).transpose(1, 2)).transpose(1, 2)

    def with_past(self, x: Tensor, state: ConvState | None) -> Tensor:
        """Prepends the past to `x` `[B, T, C]`, giving `[B, pad + T, C]`."""
        return F.pad(x, (0, 0, self.pad, 0)) if state is None else state.join(x)


class ConvNeXtBlock(nn.Module):
    """A residual block: causal depthwise convolution and pointwise network.

    "A ConvNet for the 2020s" (arXiv 2201.03545, section 2) in the 1-D form of Vocos (arXiv
    2306.00814, section 3.2). With `condition_dim`, adaptive layer norm by the condition `[B,
    condition_dim]`.
    """

    def __init__(
        self, dim: int, kernel: int = 7, expansion: int = 3, condition_dim: int = 0
    ) -> None:
        super().__init__()
        self.depthwise = CausalConv1d(dim, dim, kernel, groups=dim)
        self.norm = nn.LayerNorm(dim, elementwise_affine=condition_dim == 0)
        self.modulate = nn.Linear(condition_dim, 2 * dim) if condition_dim else None
        self.expand = nn.Linear(dim, expansion * dim)
        self.reduce = nn.Linear(expansion * dim, dim)
        nn.init.zeros_(self.reduce.bias)
        if self.modulate is not None:
            nn.init.zeros_(self.modulate.weight)
            nn.init.zeros_(self.modulate.bias)

    def init_state(self, batch: int, device: torch.device | str, dtype: torch.dtype) -> ConvState:
        return self.depthwise.init_state(batch, device, dtype)

    def forward(
        self, x: Tensor, state: ConvState | None = None, condition: Tensor | None = None
    ) -> Tensor:
        scale, shift = self._modulation(state, condition)
        conv = self.depthwise.conv
        past = self.depthwise.with_past(x, state)
        h = depthwise_norm(past, conv.weight, conv.bias, scale, shift)
        return x + self.reduce(self._expanded(h))

    def _modulation(
        self, state: ConvState | None, condition: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Scale and shift after normalisation, each `[B or 1, dim]`."""
        if self.modulate is None:
            return self.norm.weight[None], self.norm.bias[None]
        assert condition is not None, "this block was built with a condition"
        modulation = None if state is None else state.modulation
        if modulation is None:
            scale, shift = self.modulate(condition).chunk(2, dim=-1)
            modulation = (1 + scale, shift)
        if state is not None:
            state.modulation = modulation
        return modulation

    def _expanded(self, h: Tensor) -> Tensor:
        if isinstance(self.expand, PackedLinear):
            return self.expand.with_gelu(h)
        return F.gelu(self.expand(h), approximate="tanh")


class ConvNeXtStack(nn.Module):
    """`depth` blocks in sequence; the state is a list of the blocks' states."""

    def __init__(
        self, dim: int, depth: int, kernel: int = 7, expansion: int = 3, condition_dim: int = 0
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(dim, kernel, expansion, condition_dim) for _ in range(depth)
        )

    def init_state(
        self, batch: int, device: torch.device | str, dtype: torch.dtype
    ) -> list[ConvState]:
        blocks = cast(Iterable[ConvNeXtBlock], self.blocks)
        return [block.init_state(batch, device, dtype) for block in blocks]

    def forward(
        self, x: Tensor, state: list[ConvState] | None = None, condition: Tensor | None = None
    ) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = block(x, None if state is None else state[index], condition)
        return x


class Downsample(nn.Module):
    """A stride-2 convolution, `[B, T, C_in]` to `[B, ceil(T / 2), C_out]`.

    Each output sees its pair of inputs and the two before it. Offline only: encoders run on whole
    turns.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_dim, out_dim, kernel_size=4, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        odd = x.shape[1] % 2
        padded = F.pad(x, (0, 0, 2, odd))
        return self.conv(padded.transpose(1, 2)).transpose(1, 2)
