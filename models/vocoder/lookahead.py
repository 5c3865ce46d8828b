"""What both ways from codes to latents read of a stream: codes, phones, a voice, a little ahead."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.guidance import UNTOLD_SHARE, num_ways
from models.streaming import CausalConv1d, ConvNeXtStack, ConvState

LOOKAHEAD_FRAMES = 2
TEMPERATURE = 0.2  # of the noise of latents
UNTOLD = -1  # stands for a phone that is not told
_NOISE_FRAMES = 4096


@dataclass
class LookaheadState:
    """Where streams stand: caches, how far they are led by the phones, how many frames have come
    out of each `[B]`, and how many must still go in before the first comes out."""

    stem: ConvState
    encoder: list[ConvState]
    guidance: float
    given: Tensor
    ahead: int = LOOKAHEAD_FRAMES


class Lookahead(nn.Module):
    """Vectors of codes `[B, T, code_dim]`, the symbols before, under and after the pointer `[B, T,
    3]` and a style `[B, style_dim]` to a condition `[B, T, dim]` at 25 Hz.

    It looks `LOOKAHEAD_FRAMES` (80 ms) ahead: a stream gives its first frame after three have gone
    in, and the last two with `last`.

    With `guidance` beside 1 a stream runs twice, told the phones and not, and what comes of both is
    led by the phones (`models/guidance.py`): a phone is said more plainly than codes that do not
    fit it would have it.
    """

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
        """Where `batch` streams stand before their first frame, and how many rows stand for them;
        `guidance` 0 is the model's own."""
        guidance = guidance or self.guidance
        rows = num_ways(guidance) * batch
        state = LookaheadState(
            self.stem.init_state(rows, device, dtype),
            self.encoder.init_state(rows, device, dtype),
            guidance,
            torch.zeros(batch, device=device, dtype=torch.long),
        )
        return state, rows

    def whole(self, codes: Tensor, phones: Tensor, style: Tensor) -> Tensor:
        """The condition of whole sentences, for training: some rows are not told the phones."""
        if self.training:
            untold = torch.rand(len(phones), 1, 1, device=phones.device) < UNTOLD_SHARE
            phones = phones.masked_fill(untold, UNTOLD)
        inputs = F.pad(self._inputs(codes, phones, style), (0, 0, 0, LOOKAHEAD_FRAMES))
        return self.encoder(self.stem(inputs)[:, LOOKAHEAD_FRAMES:], None, style)

    def next(
        self, codes: Tensor, phones: Tensor, style: Tensor, state: LookaheadState, last: bool
    ) -> tuple[Tensor, Tensor]:
        """The condition of all frames whose look-ahead is there, `[num_ways * B, T', dim]`, and the
        noise of these frames, `[B, T', latent_dim]`; `last` fills the look-ahead with silence."""
        ways = num_ways(state.guidance)
        untold = torch.full_like(phones, UNTOLD).repeat(ways - 1, 1, 1)
        phones, style = torch.cat([phones, untold]), style.repeat(ways, 1)
        inputs = self._inputs(codes.repeat(ways, 1, 1), phones, style)
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
        told = (phones != UNTOLD)[..., None]
        symbols = (self.symbols(phones.clamp(min=0)) * told).flatten(2)
        return torch.cat([codes, symbols, style[:, None].expand(-1, codes.shape[1], -1)], dim=-1)
