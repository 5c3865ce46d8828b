"""Shared front of the renderers of codes: codes, phones and a style, with look-ahead."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.guidance import TEXT_DROPOUT, num_branches
from models.streaming import CausalConv1d, ConvNeXtStack, ConvState

LOOKAHEAD_FRAMES = 2
TEMPERATURE = 0.2  # of the latents' noise
DROPPED = -1  # phone id of dropped text
_NOISE_FRAMES = 4096


@dataclass
class LookaheadState:
    """State of B streams.

    Attributes:
        stem, encoder: convolution caches.
        guidance: classifier-free guidance scale.
        given: frames output so far, `[B]`.
        ahead: frames still to come in before the first output.
    """

    stem: ConvState
    encoder: list[ConvState]
    guidance: float
    given: Tensor
    ahead: int = LOOKAHEAD_FRAMES


class Lookahead(nn.Module):
    """Maps code vectors `[B, T, code_dim]`, the symbols before, under and after the pointer `[B, T,
    3]` and a style `[B, style_dim]` to a condition `[B, T, dim]` at 25 Hz.

    Look-ahead is `LOOKAHEAD_FRAMES` (80 ms): the first output frame needs three input frames, and
    `last` flushes the final two.

    Unless `guidance` is 1, a stream runs with and without phones, for classifier-free guidance
    (`models/guidance.py`): it articulates phones more clearly where the codes fit them badly.
    """

    lookahead = LOOKAHEAD_FRAMES
    noise: Tensor

    def __init__(
        self,
        code_dim: int,
        num_symbols: int,
        symbol_dim: int,
        style_dim: int,
        dim: int,
        depth: int,
        latent_dim: int,
        guidance: float,
        seed: int,
    ) -> None:
        super().__init__()
        self.guidance = guidance
        self.symbols = nn.Embedding(num_symbols, symbol_dim)
        width = code_dim + 3 * symbol_dim + style_dim
        self.stem = CausalConv1d(width, dim, kernel=2 * LOOKAHEAD_FRAMES + 1)
        self.encoder = ConvNeXtStack(dim, depth, condition_dim=style_dim)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(_NOISE_FRAMES, latent_dim, generator=generator, device="cpu")
        self.register_buffer("noise", noise, persistent=False)

    def lookahead_state(
        self, batch: int, device: torch.device | str, dtype: torch.dtype, guidance: float
    ) -> tuple[LookaheadState, int]:
        """Initial state of `batch` streams and its number of rows; `guidance` 0 is the model's
        default."""
        guidance = guidance or self.guidance
        rows = num_branches(guidance) * batch
        state = LookaheadState(
            self.stem.init_state(rows, device, dtype),
            self.encoder.init_state(rows, device, dtype),
            guidance,
            torch.zeros(batch, device=device, dtype=torch.long),
        )
        return state, rows

    def offline_condition(self, codes: Tensor, phones: Tensor, style: Tensor) -> Tensor:
        """The condition of whole sentences, for training, with text dropout."""
        if self.training:
            text_dropped = torch.rand(len(phones), 1, 1, device=phones.device) < TEXT_DROPOUT
            phones = phones.masked_fill(text_dropped, DROPPED)
        inputs = F.pad(self._inputs(codes, phones, style), (0, 0, 0, LOOKAHEAD_FRAMES))
        return self.encoder(self.stem(inputs)[:, LOOKAHEAD_FRAMES:], None, style)

    def next_condition(
        self, codes: Tensor, phones: Tensor, style: Tensor, state: LookaheadState, last: bool
    ) -> tuple[Tensor, Tensor]:
        """The condition `[num_branches * B, T', dim]` of all frames whose look-ahead is complete,
        and their noise `[B, T', latent_dim]`; `last` pads the look-ahead with zeros."""
        branches = num_branches(state.guidance)
        dropped = torch.full_like(phones, DROPPED).repeat(branches - 1, 1, 1)
        phones, style = torch.cat([phones, dropped]), style.repeat(branches, 1)
        inputs = self._inputs(codes.repeat(branches, 1, 1), phones, style)
        if last:
            inputs = F.pad(inputs, (0, 0, 0, LOOKAHEAD_FRAMES))
        h = self.stem(inputs, state.stem)
        skipped = min(state.ahead, inputs.shape[1])
        state.ahead -= skipped
        h = h[:, skipped:]
        index = torch.arange(h.shape[1], device=h.device) + state.given[:, None]
        state.given = state.given + h.shape[1]
        noise = self.noise[index % _NOISE_FRAMES]
        return (self.encoder(h, state.encoder, style) if h.shape[1] else h), noise

    def _inputs(self, codes: Tensor, phones: Tensor, style: Tensor) -> Tensor:
        present = (phones != DROPPED)[..., None]
        symbols = (self.symbols(phones.clamp(min=0)) * present).flatten(2)
        return torch.cat([codes, symbols, style[:, None].expand(-1, codes.shape[1], -1)], dim=-1)
