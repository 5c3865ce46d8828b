"""Causal building blocks with one code path for streaming and offline use.

`forward(x, state=None)` is offline without a state: the past is zero. Given a state of
`init_state`, it continues from the last call and updates the state in place; concatenated outputs
of successive chunks equal the output for the whole. Sequences are `[B, T, C]`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.convnext import StackWeights, convnext_stack
from kernels.convnext.cpu import pack
from kernels.depthwise_norm import depthwise_norm


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
        # The exact GELU differs by less than bfloat16 rounds, in a quarter of the time on a CPU.
        h = F.gelu(self.expand(h), approximate="none" if self.training else "tanh")
        return x + self.reduce(h)

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

    def packed(self) -> "PackedConvNeXtStack":
        """The same for inference on a CPU."""
        return PackedConvNeXtStack(cast(list[ConvNeXtBlock], list(self.blocks)))


class PackedConvNeXtStack(nn.Module):
    """Replaces a trained `ConvNeXtStack`: all blocks as one compiled call.

    Its state is one `ConvState`, whose tensors have a block axis behind the batch.
    """

    def __init__(self, blocks: list[ConvNeXtBlock]) -> None:
        super().__init__()

        def stacked(one: Callable[[ConvNeXtBlock], Tensor]) -> Tensor:
            return torch.stack([one(block).detach() for block in blocks])

        def bias(conv: nn.Conv1d) -> Tensor:
            assert conv.bias is not None
            return conv.bias

        self._depth, self._dim = len(blocks), blocks[0].depthwise.conv.in_channels
        self._pad = blocks[0].depthwise.pad
        self._weights = pack(
            StackWeights(
                stacked(lambda block: block.depthwise.conv.weight),
                stacked(lambda block: bias(block.depthwise.conv)),
                stacked(lambda block: block.expand.weight),
                stacked(lambda block: block.expand.bias),
                stacked(lambda block: block.reduce.weight),
                stacked(lambda block: block.reduce.bias),
            )
        )
        if blocks[0].modulate is None:
            scale = stacked(lambda block: block.norm.weight)[None]
            self._modulation = scale, stacked(lambda block: block.norm.bias)[None]
        else:
            modulate = [cast(nn.Linear, block.modulate) for block in blocks]
            self._modulation = None
            self.modulate = joined_linear(modulate)

    def init_state(
        self, batch: int, device: torch.device | str, dtype: torch.dtype
    ) -> list[ConvState]:
        shape = batch, self._depth, self._pad, self._dim
        return [ConvState(torch.zeros(shape, device=device, dtype=dtype))]

    def forward(
        self, x: Tensor, state: list[ConvState] | None = None, condition: Tensor | None = None
    ) -> Tensor:
        [kept] = self.init_state(len(x), x.device, x.dtype) if state is None else state
        modulation = self._modulation or kept.modulation
        if modulation is None:
            kept.modulation = modulation = self._modulated(condition)
        made, kept.past = convnext_stack(x, kept.past, self._weights, *modulation)
        return made

    def _modulated(self, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        assert condition is not None, "this stack was built with a condition"
        rows = self.modulate(condition).view(len(condition), self._depth, 2, self._dim)
        return 1 + rows[:, :, 0], rows[:, :, 1]


def joined_linear(linears: list[nn.Linear]) -> nn.Linear:
    """One layer with the outputs of all, in order."""
    first = linears[0]
    made = nn.Linear(first.in_features, len(linears) * first.out_features)
    made.weight.data = torch.cat([linear.weight.detach() for linear in linears])
    made.bias.data = torch.cat([linear.bias.detach() for linear in linears])
    return made.requires_grad_(False)


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
