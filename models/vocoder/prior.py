"""The prior flow: codes, phones and a style vector to latents."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from models.guidance import guided, num_branches
from models.streaming import CausalConv1d, ConvNeXtStack, ConvState
from models.text.symbols import SYMBOLS
from models.tokenizers.fsq import CodeEmbedding
from models.vocoder.lookahead import TEMPERATURE, Lookahead, LookaheadState


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of the prior.

    Attributes:
        guidance: classifier-free guidance scale (`Lookahead`).
    """

    symbols: tuple[str, ...] = SYMBOLS  # inventory its embedding table is indexed by
    levels: tuple[int, ...] = (8, 8, 8, 5)
    latent_dim: int = 64
    style_dim: int = 128
    symbol_dim: int = 64
    dim: int = 256
    depth: int = 5
    num_couplings: int = 4
    coupling_dim: int = 160
    coupling_depth: int = 2
    guidance: float = 1.5


@dataclass
class PriorState:
    """State of a stream."""

    lookahead: LookaheadState
    couplings: list[tuple[ConvState, list[ConvState]]]


class Coupling(nn.Module):
    """An affine coupling layer: one half of the latent predicts scale and shift of the other.

    Causal over time in both directions (VITS, arXiv 2106.06103, section 2.1.2, with scales).
    """

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        half = config.latent_dim // 2
        self.enter = CausalConv1d(half + config.dim, config.coupling_dim, kernel=1)
        self.body = ConvNeXtStack(config.coupling_dim, config.coupling_depth, kernel=5)
        self.leave = nn.Linear(config.coupling_dim, 2 * half)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def init_state(
        self, batch: int, device: torch.device | str, dtype: torch.dtype
    ) -> tuple[ConvState, list[ConvState]]:
        return (
            self.enter.init_state(batch, device, dtype),
            self.body.init_state(batch, device, dtype),
        )

    def parameters_from(
        self, fixed: Tensor, condition: Tensor, state: tuple[ConvState, list[ConvState]] | None
    ) -> tuple[Tensor, Tensor]:
        joined = torch.cat([fixed, condition], dim=-1)
        h = self.enter(joined, None if state is None else state[0])
        h = self.leave(self.body(h, None if state is None else state[1])).float()
        shift, log_scale = h.chunk(2, dim=-1)
        return shift, 2.0 * torch.tanh(log_scale / 2.0)


class Prior(Lookahead):
    """Maps codes `[B, T]`, phones around the pointer `[B, T, 3]` and a style to latents at 25 Hz.

    A conditional normalising flow with a Gaussian base whose mean and variance depend on the
    condition. `log_prob` is for training, `forward` samples.
    """

    title = "the prior"

    def __init__(self, config: PriorConfig) -> None:
        super().__init__(
            config.dim,
            len(config.symbols),
            config.symbol_dim,
            config.style_dim,
            config.dim,
            config.depth,
            config.latent_dim,
            config.guidance,
            seed=7,
        )
        self.config = config
        self.codes = CodeEmbedding(config.levels, config.dim)
        self.base = nn.Linear(config.dim, 2 * config.latent_dim)
        self.couplings = nn.ModuleList(Coupling(config) for _ in range(config.num_couplings))

    @property
    def inventory(self) -> tuple[str, ...]:
        return self.config.symbols

    def init_state(
        self,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        guidance: float = 0.0,
    ) -> PriorState:
        """`guidance` as in `SamplingOptions`."""
        lookahead, rows = self.lookahead_state(batch, device, dtype, guidance)
        couplings = [coupling.init_state(rows, device, dtype) for coupling in self._couplings()]
        return PriorState(lookahead, couplings)

    def log_prob(self, latents: Tensor, codes: Tensor, phones: Tensor, style: Tensor) -> Tensor:
        """Log-density (nats) of latents `[B, T, D]` per frame, `[B, T]`."""
        condition = self.offline_condition(self.codes(codes), phones, style)
        z, log_det = latents, torch.zeros(latents.shape[:2], device=latents.device)
        for index, coupling in enumerate(self._couplings()):
            fixed, moved = _halves(z, index)
            shift, log_scale = coupling.parameters_from(fixed, condition, None)
            z = _joined(fixed, (moved - shift) * (-log_scale).exp(), index)
            log_det = log_det - log_scale.sum(-1)
        mean, log_std = self._base(condition)
        normal = -0.5 * (((z - mean) * (-log_std).exp()).square() + 1.8378770664) - log_std
        return normal.sum(-1) + log_det

    def forward(
        self,
        codes: Tensor,
        phones: Tensor,
        style: Tensor,
        state: PriorState | None = None,
        temperature: float = TEMPERATURE,
        last: bool = True,
    ) -> Tensor:
        """Samples latents of the next frames.

        Args:
            codes: `[B, T]`.
            phones: `[B, T, 3]`: the symbols before, under and after the pointer.
            style: `[B, style_dim]`.
            state: streaming state; None renders a complete sentence.
            temperature: standard deviation of the base noise.
            last: no more frames follow; pads the look-ahead with zeros.

        Returns:
            `[B, T', latent_dim]`: all frames whose look-ahead is complete.
        """
        if state is None:
            state = self.init_state(codes.shape[0], codes.device)
        condition, noise = self.next_condition(
            self.codes(codes), phones, style, state.lookahead, last
        )
        if condition.shape[1] == 0:
            return condition.new_zeros(len(codes), 0, self.config.latent_dim)
        mean, log_std = self._base(condition)
        noise = noise.repeat(num_branches(state.lookahead.guidance), 1, 1)
        z = mean + temperature * noise * log_std.exp()
        for index, coupling in reversed(list(enumerate(self._couplings()))):
            fixed, moved = _halves(z, index)
            shift, log_scale = coupling.parameters_from(fixed, condition, state.couplings[index])
            z = _joined(fixed, moved * log_scale.exp() + shift, index)
        return guided(z, state.lookahead.guidance)

    def _couplings(self) -> list[Coupling]:
        return cast(list[Coupling], list(self.couplings))

    def _base(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.base(condition).float().chunk(2, dim=-1)
        return mean, log_std.clamp(-5.0, 3.0)


def _halves(z: Tensor, index: int) -> tuple[Tensor, Tensor]:
    # Even and odd channels alternate between couplings.
    even, odd = z[..., 0::2], z[..., 1::2]
    return (even, odd) if index % 2 == 0 else (odd, even)


def _joined(fixed: Tensor, moved: Tensor, index: int) -> Tensor:
    pair = (fixed, moved) if index % 2 == 0 else (moved, fixed)
    return torch.stack(pair, dim=-1).flatten(-2)
