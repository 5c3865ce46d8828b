"""Flow-Omni: the dialogue in, the latents of the answer out, with no quantiser between."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.guidance import UNTOLD_SHARE, led, num_ways
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
    """Sizes of the predictor.

    Attributes:
        recent_frames: how many latents before a frame are shown to its short context.
        context_dim, context_depth: of the short context.
        steps: Euler steps of a frame.
        guidance: how far a frame's mean is led by the text, 1 as it was learnt
            (`SamplingOptions.guidance`).
        flow_map: whether the field is told how far a step goes, so that one step may go all the
            way (`train flow-omni --distill`).
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
class Losses:
    """`flow` and `mean` are mean squared errors in normalised latents, the others cross-entropies
    in nats."""

    flow: Tensor
    mean: Tensor
    advance: Tensor
    plan: Tensor


class ShortContext(nn.Module):
    """What is known of a frame from near by, `[N, dim]`: from the latents before it in its sentence
    `[N, recent]`, newest first, from what it is told, and from its hidden state `[N, told_dim]`,
    where there is one. Of frames that are `untold` `[N]`: from all that without the text.

    Phones follow each other within a few frames, which a transformer over a dialogue is slow to
    learn; an MLP learns it from frames alone, many times as many of them in the same time. CALM
    (arXiv 2509.06926, section 3) has a small transformer in this place.
    """

    def __init__(self, recent: int, num_symbols: int, told_dim: int, dim: int, depth: int) -> None:
        super().__init__()
        self.around = nn.Embedding(NUM_STRESSES * num_symbols, _SYMBOL_DIM)
        self.recent = nn.Linear(recent, dim)
        self.told = nn.Linear(AROUND * _SYMBOL_DIM + 2 * told_dim, dim, bias=False)
        self.hidden = nn.Linear(told_dim, dim, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(depth + 1))
        self.ups = nn.ModuleList(nn.Linear(dim, 2 * dim) for _ in range(depth))
        self.downs = nn.ModuleList(nn.Linear(2 * dim, dim) for _ in range(depth))

    def forward(
        self,
        recent: Tensor,
        told: FrameCondition,
        hidden: Tensor | None,
        untold: Tensor | None = None,
    ) -> Tensor:
        # Embeddings of the transformer are small beside what it adds to them.
        age, manner = (F.layer_norm(v, v.shape[-1:]) for v in (told.age, told.manner))
        text = torch.cat([self.around(told.around).flatten(-2), age], dim=-1)
        if untold is not None:
            text = text.masked_fill(untold[:, None], 0.0)
            hidden = None if hidden is None else hidden.masked_fill(untold[:, None], 0.0)
        h = self.recent(recent) + self.told(torch.cat([text, manner], dim=-1))
        if hidden is not None:
            h = h + self.hidden(hidden)
        for norm, up, down in zip(self.norms, self.ups, self.downs, strict=False):
            h = h + down(F.gelu(up(norm(h)), approximate="tanh"))
        return self.norms[-1](h)


class VectorField(nn.Module):
    """The velocity of noisy latents `[N, latent_dim]` at times `[N]`, given conditions `[N, dim]`.

    Residual MLPs whose normalisation is set by condition and time, as MAR (arXiv 2406.11838,
    section 3.2) and Flow-Omni (arXiv 2412.04917, section 2.3) have it. With `spans` it is a flow
    map (arXiv 2505.18825, section 2): told a span `[N]` beside the time, it gives the mean velocity
    over that span of time.
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
        told = self.condition(condition) + self.time(_waves(time).to(noisy.dtype))
        if self.span is not None:
            assert span is not None
            told = told + self.span(_waves(span).to(noisy.dtype))
        setting = F.silu(told)
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
    """A dialogue model whose frames are latents, drawn by flow matching.

    After Flow-Omni (arXiv 2412.04917), with the phoneme pointer's end in place of the state
    stream's stop. The transformer's history is noised in training; the latest latents go past it
    into a `ShortContext`. A linear layer tells the mean of the next latent and the flow draws what
    is left: what is certain is then learnt from an error without noise in it.
    """

    name = "flow-omni"
    begin = -1
    frames = "latent"
    voice_in_frames = True  # a latent holds the voice, which a code leaves to the prior
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
        # Linear layers beside the transformer need their usual size: they are told no small signal.
        for layer in [*self.context.modules(), *self.field.modules()]:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
        nn.init.normal_(self.context.around.weight)
        nn.init.zeros_(self.context.hidden.weight)  # the near comes first
        nn.init.zeros_(self.field.leave.weight)

    def near_parts(self) -> list[nn.Module]:
        """What can be trained without the transformer."""
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
        """Latents `[..., latent_dim]` with mean 0 and deviation 1 over the training data."""
        return (latents - self.latent_mean) / self.latent_std

    def sound(self, before: Tensor, frames: Tensor | None) -> Tensor:
        if frames is None:
            return self.start.expand(*before.shape, -1)
        vectors = self.latent(self._with_noise(frames))[before.clamp(min=0)]
        return torch.where((before < 0)[..., None], self.start.to(vectors.dtype), vectors)

    def losses(self, hidden: Tensor, rows: Rows, draws: int = 4) -> Losses:
        """Losses at hidden states `[B, L, dim]`; each serves `draws` draws of noise and time."""
        assert rows.frames is not None
        condition, target = self.conditions(hidden, rows)
        flow, mean = self.frame_losses(condition, rows.frames[target], draws)
        return Losses(
            flow,
            mean,
            self.advance_loss(hidden, rows.positions),
            self.plan_loss(hidden, rows.positions),
        )

    def frame_losses(
        self, condition: Tensor, frames: Tensor, draws: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Of flow and mean, at frames `[N, latent_dim]` and what is known of them."""
        mean = self.mean(condition).float()
        latents = (frames - mean.detach()).repeat(draws, 1)
        noise = torch.randn_like(latents)
        time = torch.rand(len(latents), device=latents.device)
        noisy = (1 - time[:, None]) * noise + time[:, None] * latents
        velocity = self.field(noisy, time, condition.repeat(draws, 1))
        return F.mse_loss(velocity, latents - noise), F.mse_loss(mean, frames)

    def conditions(self, hidden: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
        """What is known of every frame in `rows` at hidden states `[B, L, dim]`, `[N,
        context_dim]`, and which frame it is, `[N]`."""
        assert rows.frames is not None
        positions = rows.positions
        chosen = positions.code_target >= 0
        begins = (positions.kind == CODE) & (positions.value == self.begin)
        target = positions.code_target[chosen]
        recent = self._recent(rows.frames, target, positions.code_target[begins])
        return self.near(recent, rows.told[chosen], hidden[chosen]), target

    def near(
        self,
        recent: Tensor,
        told: FrameCondition,
        hidden: Tensor | None = None,
        untold: Tensor | None = None,
    ) -> Tensor:
        """What is known of frames, `[N, context_dim]`, after the `recent` ones `[N, recent_frames *
        latent_dim]`, with hidden states `[N, dim]` or without; of those that are `untold` `[N]`
        (when speaking; in training they are drawn) without the text."""
        if self.training:
            # What was drawn is not what was recorded: the phones must count beside it.
            noise = _RECENT_NOISE * torch.rand(len(recent), 1, device=recent.device)
            recent = recent + (recent != 0) * noise * torch.randn_like(recent)
            untold = torch.rand(len(recent), device=recent.device) < UNTOLD_SHARE
        return self.context(recent, told, hidden, untold)

    @torch.inference_mode()
    def draw_frames(
        self, hidden: Tensor, told: FrameCondition, steps: list[FrameStep]
    ) -> list[Frame]:
        """Sentences with the same guidance and number of Euler steps go through at once."""
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
            drawn = self._draw(hidden[chosen], told[chosen], those, guidance, euler_steps)
            found.update(zip(rows, drawn, strict=True))
        return [found[row] for row in range(len(steps))]

    def _draw(
        self,
        hidden: Tensor,
        told: FrameCondition,
        steps: list[FrameStep],
        guidance: float,
        euler_steps: int,
    ) -> Tensor:
        """Latents `[B, latent_dim]`."""
        config, device, count = self.config, hidden.device, len(steps)
        recent = torch.zeros(count, config.recent_frames, config.latent_dim, device=device)
        for row, step in enumerate(steps):
            for place, frame in enumerate(reversed(step.frames[-config.recent_frames :])):
                assert isinstance(frame, Tensor)
                recent[row, place] = frame
        # Once as it is, once without the text, from which guidance leads away.
        rows = torch.arange(count, device=device).repeat(num_ways(guidance))
        untold = torch.arange(len(rows), device=device) >= count
        conditions = self.near(recent.flatten(1)[rows], told[rows], hidden[rows], untold)
        mean = led(self.mean(conditions), guidance)
        noise = [
            step.options.temperature**0.5 * torch.randn(config.latent_dim, generator=step.generator)
            for step in steps
        ]
        x, condition = torch.stack(noise).to(device), conditions[:count]
        span = (torch.full((count,), 1 / euler_steps, device=device),) if config.flow_map else ()
        for number in range(euler_steps):
            time = torch.full((count,), number / euler_steps, device=device)
            x = x + self.field(x, time, condition, *span) / euler_steps
        return x + mean

    def stacked(self, frames: list[Frame]) -> Tensor:
        if not frames:
            return self.latent_mean.new_zeros(0, self.config.latent_dim)
        stacked = torch.stack([frame for frame in frames if isinstance(frame, Tensor)])
        return stacked * self.latent_std + self.latent_mean

    def _recent(self, frames: Tensor, target: Tensor, begins: Tensor) -> Tensor:
        """The frames before `target` `[N]` in its sentence, newest first, `[N, recent * D]`; zeros
        before it. `begins` holds each sentence's first frame."""
        ordered = begins.sort().values
        first = ordered[torch.searchsorted(ordered, target, right=True) - 1]
        rows = []
        for back in range(1, self.config.recent_frames + 1):
            there = (target - back >= first)[:, None]
            rows.append(torch.where(there, frames[(target - back).clamp(min=0)], 0.0))
        return torch.cat(rows, dim=-1)

    def _with_noise(self, frames: Tensor) -> Tensor:
        # The variance is kept; half of it is noise at most, for the text already says a lot.
        if not self.training:
            return frames
        share = 0.5 * torch.rand(len(frames), 1, device=frames.device)
        return (1 - share).sqrt() * frames + share.sqrt() * torch.randn_like(frames)
