"""Flow-Omni: predicts the answer's latents from the dialogue, without quantisation."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.guidance import TEXT_DROPOUT, guided, num_branches
from models.predictors.dialogue_model import DialogueConfig, DialogueModel, Rows
from models.predictors.sequence import CODE, FrameIndices, Segment
from models.predictors.steps import Frame, FrameCondition, FrameStep
from models.predictors.units import AROUND, NUM_STRESSES
from models.transformer import initialise

_TIME_FREQUENCIES = 32
_SYMBOL_DIM = 32
_RECENT_NOISE = 0.5


@dataclass(frozen=True)
class FlowOmniConfig(DialogueConfig):
    """Sizes of Flow-Omni.

    Attributes:
        recent_frames: number of preceding latents that the short context sees.
        context_dim, context_depth: size of the short-context MLP.
        steps: Euler steps per frame.
        guidance: classifier-free guidance scale of the frame mean; 1 disables it
            (`SamplingOptions.guidance`).
        flow_map: condition the vector field on the step length, so that one step suffices
            (`train flow-omni --distill`).
    """

    latent_dim: int = 64
    flow_dim: int = 256
    flow_depth: int = 3
    recent_frames: int = 6
    context_dim: int = 512
    context_depth: int = 3
    steps: int = 2
    guidance: float = 1.5
    flow_map: bool = False


@dataclass
class FlowOmniLosses:
    """`flow` and `mean` are mean squared errors of normalised latents, the others cross-entropies
    (nats)."""

    flow: Tensor
    mean: Tensor
    advance: Tensor
    plan: Tensor


class ShortContext(nn.Module):
    """An MLP over what is local to a frame, `[N, dim]`.

    Its inputs are the preceding latents of the sentence `[N, recent]`, newest first, the frame's
    conditioning, and, if given, the transformer's hidden state `[N, condition_dim]`. Text and
    hidden state are zeroed in rows where `text_dropped` `[N]` is set (classifier-free guidance).

    Phone transitions span a few frames and are slow to learn for a transformer over a whole
    dialogue; the MLP trains on isolated frames, many times as many in the same time. CALM (arXiv
    2509.06926, section 3) uses a small transformer here.
    """

    def __init__(
        self, recent: int, num_symbols: int, condition_dim: int, dim: int, depth: int
    ) -> None:
        super().__init__()
        self.around = nn.Embedding(NUM_STRESSES * num_symbols, _SYMBOL_DIM)
        self.recent = nn.Linear(recent, dim)
        self.told = nn.Linear(AROUND * _SYMBOL_DIM + 2 * condition_dim, dim, bias=False)
        self.hidden = nn.Linear(condition_dim, dim, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(depth + 1))
        self.ups = nn.ModuleList(nn.Linear(dim, 2 * dim) for _ in range(depth))
        self.downs = nn.ModuleList(nn.Linear(2 * dim, dim) for _ in range(depth))

    def forward(
        self,
        recent: Tensor,
        condition: FrameCondition,
        hidden: Tensor | None,
        text_dropped: Tensor | None = None,
    ) -> Tensor:
        # Transformer embeddings are small relative to the residual stream.
        age, manner = (F.layer_norm(v, v.shape[-1:]) for v in (condition.age, condition.manner))
        text = torch.cat([self.around(condition.around).flatten(-2), age], dim=-1)
        if text_dropped is not None:
            text = text.masked_fill(text_dropped[:, None], 0.0)
            hidden = None if hidden is None else hidden.masked_fill(text_dropped[:, None], 0.0)
        h = self.recent(recent) + self.told(torch.cat([text, manner], dim=-1))
        if hidden is not None:
            h = h + self.hidden(hidden)
        for norm, up, down in zip(self.norms, self.ups, self.downs, strict=False):
            h = h + down(F.gelu(up(norm(h)), approximate="tanh"))
        return self.norms[-1](h)


class VectorField(nn.Module):
    """Velocity of noisy latents `[N, latent_dim]` at times `[N]`, given conditions `[N, dim]`.

    Residual MLPs with adaptive layer norm from condition and time, as in MAR (arXiv 2406.11838,
    section 3.2) and Flow-Omni (arXiv 2412.04917, section 2.3). With `spans` it is a flow map (arXiv
    2505.18825, section 2): given a time span `[N]` as well, it returns the mean velocity over it.
    """

    def __init__(
        self, latent_dim: int, condition_dim: int, dim: int, depth: int, spans: bool = False
    ) -> None:
        super().__init__()
        self.enter = nn.Linear(latent_dim, dim)
        self.condition = nn.Linear(condition_dim, dim)
        self.time = nn.Linear(2 * _TIME_FREQUENCIES, dim)
        self.modulations = nn.ModuleList(nn.Linear(dim, 3 * dim) for _ in range(depth))
        self.ups = nn.ModuleList(nn.Linear(dim, 2 * dim) for _ in range(depth))
        self.downs = nn.ModuleList(nn.Linear(2 * dim, dim) for _ in range(depth))
        self.leave = nn.Linear(dim, latent_dim)
        self.span = nn.Linear(2 * _TIME_FREQUENCIES, dim) if spans else None

    def forward(
        self, noisy: Tensor, time: Tensor, condition: Tensor, span: Tensor | None = None
    ) -> Tensor:
        embedded = self.condition(condition) + self.time(_waves(time).to(noisy.dtype))
        if self.span is not None:
            assert span is not None
            embedded = embedded + self.span(_waves(span).to(noisy.dtype))
        setting = F.silu(embedded)
        h = self.enter(noisy)
        width = (h.shape[-1],)
        for modulate, up, down in zip(self.modulations, self.ups, self.downs, strict=True):
            shift, scale, gate = modulate(setting).chunk(3, dim=-1)
            inner = F.layer_norm(h, width) * (1 + scale) + shift
            h = h + gate * down(F.silu(up(inner)))
        return self.leave(F.layer_norm(h, width)).float()


def _waves(time: Tensor) -> Tensor:
    power = torch.arange(_TIME_FREQUENCIES, device=time.device) / _TIME_FREQUENCIES
    angles = time[:, None].float() * 1000.0 ** (1.0 - power) / 10.0
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class FlowOmni(DialogueModel):
    """A dialogue model whose frames are latents, sampled by flow matching.

    After Flow-Omni (arXiv 2412.04917), except that speech ends when the phoneme pointer passes the
    last unit, not by a stop state. Training noises the latents in the transformer's history; the
    latest ones reach the frame through a `ShortContext`. A linear layer predicts the mean of the
    next latent and the flow samples the residual, so the predictable part gets a noise-free
    regression loss.
    """

    name = "flow-omni"
    begin = -1
    frames = "latent"
    voice_in_frames = True  # latents carry the voice; semantic codes leave it to the prior
    config: FlowOmniConfig
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: FlowOmniConfig) -> None:
        super().__init__(config)
        size, dim = config.latent_dim, config.dim
        self.latent = nn.Linear(size, dim)
        self.start = nn.Parameter(torch.zeros(dim))
        width = config.context_dim
        self.context = ShortContext(
            config.recent_frames * size, len(config.symbols), dim, width, config.context_depth
        )
        self.mean = nn.Linear(width, size)
        self.field = VectorField(size, width, config.flow_dim, config.flow_depth, config.flow_map)
        self.register_buffer("latent_mean", torch.zeros(size))
        self.register_buffer("latent_std", torch.ones(size))
        self.apply(initialise)
        # Layers beside the transformer keep Xavier initialisation: std 0.02 would attenuate them.
        for layer in [*self.context.modules(), *self.field.modules()]:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
        nn.init.normal_(self.context.around.weight)
        nn.init.zeros_(self.context.hidden.weight)  # start from the local context alone
        nn.init.zeros_(self.field.leave.weight)

    def short_context_modules(self) -> list[nn.Module]:
        """The modules that can be pre-trained without the transformer."""
        return [self.context, self.mean, self.field]

    def index_frames(
        self, segments: list[Segment]
    ) -> tuple[list[FrameIndices | None], Tensor | None]:
        indices: list[FrameIndices | None] = []
        table: list[Tensor] = []
        count = 0
        for segment in segments:
            if segment.frames is None:
                indices.append(None)
                continue
            rows = torch.arange(count, count + len(segment.frames))
            indices.append(FrameIndices(rows, rows))
            table.append(self.normalised(segment.frames.values.to(self.latent_mean.device)))
            count += len(rows)
        return indices, torch.cat(table) if table else None

    def normalised(self, latents: Tensor) -> Tensor:
        """Latents `[..., latent_dim]` standardised over the training data."""
        return (latents - self.latent_mean) / self.latent_std

    def embed_frames(self, before: Tensor, frames: Tensor | None) -> Tensor:
        if frames is None:
            return self.start.expand(*before.shape, -1)
        vectors = self.latent(self._with_noise(frames))[before.clamp(min=0)]
        return torch.where((before < 0)[..., None], self.start.to(vectors.dtype), vectors)

    def losses(self, hidden: Tensor, rows: Rows, draws: int = 4) -> FlowOmniLosses:
        """Losses at hidden states `[B, L, dim]`, with `draws` samples of noise and time per
        frame."""
        assert rows.frames is not None
        contexts, target = self.contexts(hidden, rows)
        flow, mean = self.frame_losses(contexts, rows.frames[target], draws)
        return FlowOmniLosses(
            flow,
            mean,
            self.advance_loss(hidden, rows.positions),
            self.plan_loss(hidden, rows.positions),
        )

    def frame_losses(
        self, contexts: Tensor, frames: Tensor, draws: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Flow and mean losses of frames `[N, latent_dim]` given their contexts `[N,
        context_dim]`."""
        mean = self.mean(contexts).float()
        latents = (frames - mean.detach()).repeat(draws, 1)
        noise = torch.randn_like(latents)
        time = torch.rand(len(latents), device=latents.device)
        noisy = (1 - time[:, None]) * noise + time[:, None] * latents
        velocity = self.field(noisy, time, contexts.repeat(draws, 1))
        return F.mse_loss(velocity, latents - noise), F.mse_loss(mean, frames)

    def contexts(self, hidden: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """Short contexts `[N, context_dim]` of all frames in `rows`, and the frames' indices `[N]`.

        `hidden` are the hidden states `[B, L, dim]`.
        """
        assert rows.frames is not None
        positions = rows.positions
        chosen = positions.code_target >= 0
        begins = (positions.kind == CODE) & (positions.value == self.begin)
        target = positions.code_target[chosen]
        recent = self._recent(rows.frames, target, positions.code_target[begins])
        return self.short_context(recent, rows.condition[chosen], hidden[chosen]), target

    def short_context(
        self,
        recent: Tensor,
        condition: FrameCondition,
        hidden: Tensor | None = None,
        text_dropped: Tensor | None = None,
    ) -> Tensor:
        """Short contexts of frames, `[N, context_dim]`; in training with noise and text dropout.

        Args:
            recent: preceding latents `[N, recent_frames * latent_dim]`, newest first.
            condition: conditioning of the frames, fields `[N, ...]`.
            hidden: hidden states `[N, dim]`, or None without the transformer.
            text_dropped: mask `[N]` of rows without text, at inference; sampled in training.
        """
        if self.training:
            # Sampled latents differ from recorded ones; noise makes the model rely on the phones.
            noise = _RECENT_NOISE * torch.rand(len(recent), 1, device=recent.device)
            recent = recent + (recent != 0) * noise * torch.randn_like(recent)
            text_dropped = torch.rand(len(recent), device=recent.device) < TEXT_DROPOUT
        return self.context(recent, condition, hidden, text_dropped)

    @torch.inference_mode()
    def draw_frames(
        self, hidden: Tensor, condition: FrameCondition, steps: list[FrameStep]
    ) -> list[Frame]:
        """Batches sentences that share guidance scale and number of Euler steps."""
        config = self.config
        alike: dict[tuple[float, int], list[int]] = {}
        for row, step in enumerate(steps):
            options = step.options
            kind = (options.guidance or config.guidance, options.flow_steps or config.steps)
            alike.setdefault(kind, []).append(row)
        found: dict[int, Frame] = {}
        for (guidance, euler_steps), rows in alike.items():
            chosen = torch.tensor(rows, device=hidden.device)
            those = [steps[row] for row in rows]
            drawn = self._draw(hidden[chosen], condition[chosen], those, guidance, euler_steps)
            found.update(zip(rows, drawn, strict=True))
        return [found[row] for row in range(len(steps))]

    def _draw(
        self,
        hidden: Tensor,
        condition: FrameCondition,
        steps: list[FrameStep],
        guidance: float,
        euler_steps: int,
    ) -> Tensor:
        """Samples latents `[B, latent_dim]`."""
        config, device, count = self.config, hidden.device, len(steps)
        nothing = [torch.zeros(config.latent_dim, device=device)] * config.recent_frames
        latest: list[Tensor] = []
        for step in steps:
            last = step.frames[-config.recent_frames :]
            before = [frame for frame in reversed(last) if isinstance(frame, Tensor)]
            latest += [*before, *nothing][: config.recent_frames]
        recent = torch.stack(latest).view(count, -1)
        # Classifier-free guidance: conditional rows first, then unconditional ones.
        rows = torch.arange(count, device=device).repeat(num_branches(guidance))
        text_dropped = torch.arange(len(rows), device=device) >= count
        contexts = self.short_context(recent[rows], condition[rows], hidden[rows], text_dropped)
        mean = guided(self.mean(contexts), guidance)
        noise = [
            step.options.temperature**0.5 * torch.randn(config.latent_dim, generator=step.generator)
            for step in steps
        ]
        x, context = torch.stack(noise).to(device), contexts[:count]
        span = (torch.full((count,), 1 / euler_steps, device=device),) if config.flow_map else ()
        for number in range(euler_steps):
            time = torch.full((count,), number / euler_steps, device=device)
            x = x + self.field(x, time, context, *span) / euler_steps
        return x + mean

    def stack_frames(self, frames: list[Frame]) -> Tensor:
        if not frames:
            return self.latent_mean.new_zeros(0, self.config.latent_dim)
        stacked = torch.stack([frame for frame in frames if isinstance(frame, Tensor)])
        return stacked * self.latent_std + self.latent_mean

    def _recent(self, frames: Tensor, target: Tensor, begins: Tensor) -> Tensor:
        """The frames before `target` `[N]` within its sentence, newest first, `[N, recent * D]`,
        zero before its start. `begins` holds the first frame of each sentence."""
        ordered = begins.sort().values
        first = ordered[torch.searchsorted(ordered, target, right=True) - 1]
        rows = []
        for back in range(1, self.config.recent_frames + 1):
            there = (target - back >= first)[:, None]
            rows.append(torch.where(there, frames[(target - back).clamp(min=0)], 0.0))
        return torch.cat(rows, dim=-1)

    def _with_noise(self, frames: Tensor) -> Tensor:
        # Variance-preserving; at most half is noise, as the text is informative already.
        if not self.training:
            return frames
        share = 0.5 * torch.rand(len(frames), 1, device=frames.device)
        return (1 - share).sqrt() * frames + share.sqrt() * torch.randn_like(frames)
