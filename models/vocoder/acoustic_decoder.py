"""HAM-TTS's second model: the first acoustic code of each frame to all of them, and to latents."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_model
from models.guidance import led, num_ways
from models.streaming import ConvNeXtStack, ConvState
from models.text.symbols import SYMBOLS
from models.tokenizers.acoustic import AcousticTokenizer, load_acoustic
from models.vocoder.lookahead import TEMPERATURE, Lookahead, LookaheadState


@dataclass(frozen=True)
class AcousticDecoderConfig:
    """Sizes of the model; those of the codes are the acoustic tokenizer's.

    Attributes:
        guidance: how far what is predicted is led by the phones (`Lookahead`).
    """

    symbols: tuple[str, ...] = SYMBOLS  # the inventory whose ids it embeds
    style_dim: int = 128
    symbol_dim: int = 64
    dim: int = 256
    depth: int = 5
    level_depth: int = 2
    guidance: float = 1.5


@dataclass
class AcousticDecoderState:
    """Where a stream stands; `waiting` are the first codes whose look-ahead is missing."""

    lookahead: LookaheadState
    levels: list[list[ConvState]]
    waiting: Tensor


class AcousticDecoder(Lookahead):
    """First codes `[B, T]`, the phones around the pointer `[B, T, 3]` and a style to latents.

    Not autoregressive over time: level after level, the codes of all frames at once, given those of
    the levels before (VALL-E's second model, arXiv 2301.02111, section 4.2.2, as HAM-TTS takes it
    over). What the levels so far leave is predicted as a vector with a deviation in each dimension,
    and a code's logit falls with its squared distance from it, so measured: near codes need not be
    learnt apart, and a dimension counts as far as it is known. The condition looks ahead, the
    levels do not. 25 Hz.
    """

    spread: Tensor

    title = "the acoustic decoder"

    def __init__(self, config: AcousticDecoderConfig, acoustic: AcousticTokenizer) -> None:
        latent_dim, dim = acoustic.config.latent_dim, config.dim
        super().__init__(
            dim + latent_dim,
            len(config.symbols),
            config.symbol_dim,
            config.style_dim,
            dim,
            config.depth,
            latent_dim,
            config.guidance,
            seed=11,
        )
        self.config = config
        # Kept aside: the codebooks are saved with their own model.
        self._acoustic = [acoustic]
        self.num_levels = acoustic.config.num_levels
        self.first = nn.Embedding(acoustic.config.num_codes, dim)
        self.sum = nn.Linear(latent_dim, dim)
        self.level = nn.Embedding(self.num_levels - 1, dim)
        self.refine = ConvNeXtStack(dim, config.level_depth, kernel=5, condition_dim=dim)
        self.leave = nn.Linear(dim, 2 * latent_dim)
        # It begins with nothing left and a level's own spread: a confident guess costs hundreds of
        # nats, and what mends it is not what tells codes apart.
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        spread = acoustic.codebooks.flatten(1).std(-1).clamp_min(1e-6)
        self.register_buffer("spread", spread, persistent=False)

    @property
    def acoustic(self) -> AcousticTokenizer:
        return self._acoustic[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "AcousticDecoder":
        self.acoustic._apply(fn, recurse)  # it has a file of its own, but moves along
        return super()._apply(fn, recurse)

    @property
    def inventory(self) -> tuple[str, ...]:
        return self.config.symbols

    def init_state(
        self,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        guidance: float = 0.0,
    ) -> AcousticDecoderState:
        """`guidance` as in `SamplingOptions`."""
        lookahead, rows = self.lookahead_state(batch, device, dtype, guidance)
        levels = [self.refine.init_state(rows, device, dtype) for _ in range(self.num_levels - 1)]
        waiting = torch.zeros(batch, 0, dtype=torch.long, device=device)
        return AcousticDecoderState(lookahead, levels, waiting)

    def forward(
        self,
        codes: Tensor,
        phones: Tensor,
        style: Tensor,
        state: AcousticDecoderState | None = None,
        temperature: float = TEMPERATURE,
        last: bool = True,
    ) -> Tensor:
        """Latents for the next frames; arguments and result as `Prior.forward` has them.

        `temperature` scales the noise, of each level's own spread, on what it predicts.
        """
        if state is None:
            state = self.init_state(codes.shape[0], codes.device)
        vectors = self._vectors(codes)
        condition, noise = self.next(vectors, phones, style, state.lookahead, last)
        waiting = torch.cat([state.waiting, codes], dim=1)
        length = condition.shape[1]
        codes, state.waiting = waiting[:, :length], waiting[:, length:]
        if length == 0:
            return condition.new_zeros(len(codes), 0, self.acoustic.config.latent_dim)
        books, guidance = self.acoustic.codebooks, state.lookahead.guidance
        total = books[0][codes]
        for level in range(self.num_levels - 1):
            levels = torch.full((len(condition),), level, device=codes.device)
            sums = total.repeat(num_ways(guidance), 1, 1)
            rests, deviations = self._rest(condition, sums, levels, state.levels[level])
            rest, deviation = led(rests, guidance), deviations[: len(codes)]
            # Rolled, so that no two levels are given the same noise.
            rest = rest + temperature * deviation * noise.roll(level, dims=-1)
            chosen = _logits(rest, deviation, books[level + 1]).argmax(-1)
            total = total + books[level + 1][chosen]
        return total * self.acoustic.scale

    def loss(
        self,
        totals: Tensor,
        targets: Tensor,
        condition: Tensor,
        valid: Tensor,
    ) -> Tensor:
        """Mean cross-entropy in nats of all levels after the first.

        Args:
            totals: for each of them the scaled latents of the levels before, `[L, B, T,
                latent_dim]`.
            targets: the codes to predict, `[L, B, T]`.
            condition: of `conditioned`.
            valid: frames that count, `[B, T]`.
        """
        num_levels, batch = targets.shape[:2]
        levels = torch.arange(num_levels, device=targets.device).repeat_interleave(batch)
        conditions = condition.repeat(num_levels, 1, 1)
        both = self._rest(conditions, totals.flatten(0, 1), levels, None)
        losses = [
            F.cross_entropy(_logits(rest[valid], deviation[valid], book), target[valid])
            for rest, deviation, book, target in zip(
                *(one.unflatten(0, (num_levels, batch)) for one in both),
                self.acoustic.codebooks[1:],
                targets,
                strict=True,
            )
        ]
        return torch.stack(losses).mean()

    def conditioned(self, codes: Tensor, phones: Tensor, style: Tensor) -> Tensor:
        """For training: whole sentences' condition `[B, T, dim]`."""
        return self.whole(self._vectors(codes), phones, style)

    def _vectors(self, codes: Tensor) -> Tensor:
        """A first code, learnt as it is, and where it lies."""
        where = self.acoustic.codebooks[0][codes] / self.spread[0]
        return torch.cat([self.first(codes), where], dim=-1)

    def _rest(
        self, condition: Tensor, totals: Tensor, levels: Tensor, state: list[ConvState] | None
    ) -> tuple[Tensor, Tensor]:
        """What the levels before `levels` `[B]` have left, as predicted, and the deviation of it,
        both `[B, T, latent_dim]`."""
        which = self.level(levels)
        h = condition + self.sum(totals / self.spread[0]) + which[:, None]
        rest, log_deviation = self.leave(self.refine(h, state, which)).float().chunk(2, dim=-1)
        unit = self.spread[levels + 1, None, None]
        return rest * unit, log_deviation.clamp(-3.0, 3.0).exp() * unit


def _logits(rest: Tensor, deviation: Tensor, book: Tensor) -> Tensor:
    """Of each code of `book` `[K, D]`, as likely as its vector is under a Gaussian around `rest`
    `[..., D]`: `[..., K]`, up to what all codes share."""
    precision = deviation.square().reciprocal()
    return (rest * precision) @ book.T - 0.5 * precision @ book.square().T


def load_acoustic_decoder(folder: Path) -> AcousticDecoder:
    """The decoder of acoustic codes, with the codebooks.

    Raises:
        MissingModelError: either is not in `folder`.
    """
    acoustic = load_acoustic(folder)

    def made(config: AcousticDecoderConfig) -> AcousticDecoder:
        return AcousticDecoder(config, acoustic)

    return load_model(folder, "acoustic-decoder", made, AcousticDecoderConfig)
