"""HAM-TTS's second model: predicts the remaining codes from the first ones, and decodes latents."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_model
from models.guidance import guided, num_branches
from models.streaming import ConvNeXtStack, ConvState
from models.text.symbols import SYMBOLS
from models.tokenizers.acoustic import AcousticTokenizer, load_acoustic
from models.vocoder.lookahead import TEMPERATURE, Lookahead, LookaheadState


@dataclass(frozen=True)
class AcousticDecoderConfig:
    """Sizes of the model; codebook sizes come from the acoustic tokenizer.

    Attributes:
        guidance: classifier-free guidance scale (`Lookahead`).
    """

    symbols: tuple[str, ...] = SYMBOLS  # inventory its embedding table is indexed by
    style_dim: int = 128
    symbol_dim: int = 64
    dim: int = 256
    depth: int = 5
    level_depth: int = 2
    guidance: float = 1.5


@dataclass
class AcousticDecoderState:
    """State of a stream; `waiting` are first codes without their full look-ahead."""

    lookahead: LookaheadState
    levels: list[list[ConvState]]
    waiting: Tensor


class AcousticDecoder(Lookahead):
    """Maps first codes `[B, T]`, phones around the pointer `[B, T, 3]` and a style to latents.

    Not autoregressive over time: it predicts level after level for all frames at once, given the
    levels before (VALL-E's second model, arXiv 2301.02111, section 4.2.2, which HAM-TTS adopts). It
    predicts the residual of the levels so far as a Gaussian with diagonal covariance; the logit of
    a code is its log-likelihood. Similar codes thus share what is learnt, and each dimension is
    weighted by its precision. The condition has look-ahead, the levels have none. 25 Hz.
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
        # In a list, so that it is not a submodule: the codebooks are saved with their own model.
        self._acoustic = [acoustic]
        self.num_levels = acoustic.config.num_levels
        self.first = nn.Embedding(acoustic.config.num_codes, dim)
        self.sum = nn.Linear(latent_dim, dim)
        self.level = nn.Embedding(self.num_levels - 1, dim)
        self.refine = ConvNeXtStack(dim, config.level_depth, kernel=5, condition_dim=dim)
        self.leave = nn.Linear(dim, 2 * latent_dim)
        # Starts from zero residual and each level's own spread: confident wrong guesses would cost
        # hundreds of nats and dominate the gradient.
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        spread = acoustic.codebooks.flatten(1).std(-1).clamp_min(1e-6)
        self.register_buffer("spread", spread, persistent=False)

    @property
    def acoustic(self) -> AcousticTokenizer:
        return self._acoustic[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "AcousticDecoder":
        self.acoustic._apply(fn, recurse)  # not a submodule, but must move along
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
        """Decodes the next frames; arguments and result as in `Prior.forward`.

        `temperature` scales noise added to the predicted residual, in units of its deviation.
        """
        if state is None:
            state = self.init_state(codes.shape[0], codes.device)
        vectors = self._vectors(codes)
        condition, noise = self.next_condition(vectors, phones, style, state.lookahead, last)
        waiting = torch.cat([state.waiting, codes], dim=1)
        length = condition.shape[1]
        codes, state.waiting = waiting[:, :length], waiting[:, length:]
        if length == 0:
            return condition.new_zeros(len(codes), 0, self.acoustic.config.latent_dim)
        books, guidance = self.acoustic.codebooks, state.lookahead.guidance
        total = books[0][codes]
        for level in range(self.num_levels - 1):
            levels = torch.full((len(condition),), level, device=codes.device)
            sums = total.repeat(num_branches(guidance), 1, 1)
            rests, deviations = self._rest(condition, sums, levels, state.levels[level])
            rest, deviation = guided(rests, guidance), deviations[: len(codes)]
            # Rolled, so that no two levels get the same noise.
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
        """Mean cross-entropy (nats) over all levels after the first.

        Args:
            totals: input of each level, the scaled sum of the levels before it, `[L, B, T,
                latent_dim]`.
            targets: codes, `[L, B, T]`.
            condition: output of `conditioned`.
            valid: mask of frames to count, `[B, T]`.
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
        """The condition `[B, T, dim]` of whole sentences, for training."""
        return self.offline_condition(self._vectors(codes), phones, style)

    def _vectors(self, codes: Tensor) -> Tensor:
        """Embeds first codes: a learnt embedding and the normalised codebook vector."""
        where = self.acoustic.codebooks[0][codes] / self.spread[0]
        return torch.cat([self.first(codes), where], dim=-1)

    def _rest(
        self, condition: Tensor, totals: Tensor, levels: Tensor, state: list[ConvState] | None
    ) -> tuple[Tensor, Tensor]:
        """Mean and deviation, both `[B, T, latent_dim]`, of the residual that the levels before
        `levels` `[B]` have left."""
        which = self.level(levels)
        h = condition + self.sum(totals / self.spread[0]) + which[:, None]
        rest, log_deviation = self.leave(self.refine(h, state, which)).float().chunk(2, dim=-1)
        unit = self.spread[levels + 1, None, None]
        return rest * unit, log_deviation.clamp(-3.0, 3.0).exp() * unit


def _logits(rest: Tensor, deviation: Tensor, book: Tensor) -> Tensor:
    """Gaussian log-likelihoods `[..., K]` of the codes of `book` `[K, D]` around `rest` `[..., D]`,
    up to a constant."""
    precision = deviation.square().reciprocal()
    return (rest * precision) @ book.T - 0.5 * precision @ book.square().T


def load_acoustic_decoder(folder: Path) -> AcousticDecoder:
    """Loads the acoustic decoder and its codebooks.

    Raises:
        MissingModelError: either is missing from `folder`.
    """
    acoustic = load_acoustic(folder)

    def made(config: AcousticDecoderConfig) -> AcousticDecoder:
        return AcousticDecoder(config, acoustic)

    return load_model(folder, "acoustic-decoder", made, AcousticDecoderConfig)
