"""The decoder-only transformer over the dialogue that all predictors share."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.limits import MAX_PAST_TURNS
from models.predictors.frames import FrameKind
from models.predictors.plan import NUM_BINS, PLAN_FIELDS, PlanScale
from models.predictors.sequence import (
    CODE,
    MAX_ADVANCE,
    MAX_AGE,
    NO_TARGET,
    PLAN,
    TURN,
    UNIT,
    FrameIndices,
    Positions,
    Segment,
    serialise,
)
from models.predictors.steps import (
    Frame,
    FrameCondition,
    FrameStep,
    PredictorState,
    SampledFrame,
)
from models.predictors.unit_encoder import UnitEncoder
from models.predictors.units import units_around, valid_units
from models.text.symbols import ENGLISH, SYMBOLS, check_symbols
from models.transformer import Transformer

PREFILL_POSITIONS = 256  # per prefill chunk; about 0.1 s on one core


@dataclass(frozen=True)
class DialogueConfig:
    """Sizes common to all predictors."""

    symbols: tuple[str, ...] = SYMBOLS  # inventory its embedding table is indexed by
    languages: tuple[str, ...] = (ENGLISH,)  # languages it was trained to speak
    style_dim: int = 128
    dim: int = 256
    depth: int = 6
    num_heads: int = 4
    ffn_dim: int = 704
    unit_depth: int = 3
    max_positions: int = 1024  # beyond it the oldest turns are evicted
    plan_low: tuple[float, ...] = PlanScale.low
    plan_high: tuple[float, ...] = PlanScale.high
    order: Literal["ABAB", "AABB"] = "ABAB"  # of past turns; see `models/predictors/sequence.py`
    # Classifier-free guidance scale of an answer's plan: conditioned on the dialogue against
    # the sentence alone (1 disables it).
    plan_guidance: float = 1.0
    # Share of the planned pitch that is added to the decoder's F0, since codes flatten it.
    pitch_gain: float = 0.0

    @property
    def plan_scale(self) -> PlanScale:
        return PlanScale(self.plan_low, self.plan_high)


@dataclass(frozen=True)
class Rows:
    """A batch of rows: input vectors `[B, L, dim]`, positions `[B, L]`, the frame table of
    `index_frames`, and the conditioning of frames, fields `[B, L, ...]`."""

    embedded: Tensor
    positions: Positions
    frames: Tensor | None
    condition: FrameCondition


class DialogueModel(nn.Module, ABC):
    """A decoder-only transformer over the dialogue (`models/predictors/sequence.py`).

    GPT-Talker's dialogue (arXiv 2407.21491, section 3.3) with three additions: a monotonic phoneme
    pointer, whose phone is an input and whose advance (0 to 4 units per frame) is predicted; four
    prosody tokens before the frames of each segment; and the speaker's style vector at the start of
    each turn. 25 Hz, causal; the KV cache lives as long as the dialogue. Subclasses define their
    frames (codes or latents) by `index_frames`, `embed_frames`, `draw_frames` and `stack_frames`.
    """

    name: str
    frames: FrameKind = "semantic"  # kind of frame it predicts
    begin: int  # index of the begin-of-speech frame
    prompted = False  # whether a cloned voice's sample is prepended as a turn
    voice_in_frames = False  # add the style vector to every frame, not to turn heads alone

    def __init__(self, config: DialogueConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.dim
        self.units = UnitEncoder(len(config.symbols), dim, config.unit_depth)
        self.kind = nn.Embedding(5, dim)
        self.speaker = nn.Embedding(4, dim)
        self.style = nn.Linear(config.style_dim, dim)
        self.plan = nn.Embedding(len(PLAN_FIELDS) * NUM_BINS, dim)
        self.age = nn.Embedding(MAX_AGE + 1, dim)
        self.at_pointer = nn.Linear(dim, dim, bias=False)
        self.transformer = Transformer(dim, config.depth, config.num_heads, config.ffn_dim)
        self.advance_head = nn.Linear(dim, MAX_ADVANCE + 1)
        self.plan_head = nn.Linear(dim, len(PLAN_FIELDS) * NUM_BINS)

    @property
    def capacity(self) -> int:
        """KV cache size in positions: a full window plus a long sentence."""
        return 3 * self.config.max_positions // 2

    @abstractmethod
    def index_frames(
        self, segments: list[Segment]
    ) -> tuple[list[FrameIndices | None], Tensor | None]:
        """Replaces frames by row indices into a frame table `[F, ...]`; None for discrete codes,
        which are their own indices."""

    @abstractmethod
    def embed_frames(self, before: Tensor, frames: Tensor | None) -> Tensor:
        """Embeds frame indices `[...]`, among them `begin`, as `[..., dim]`."""

    @abstractmethod
    def draw_frames(
        self, hidden: Tensor, condition: FrameCondition, steps: list[FrameStep]
    ) -> list[Frame]:
        """Samples the next frame of B sentences, each with its own options and generator, at hidden
        states `[B, dim]`, given the conditioning of `frame_steps`."""

    @abstractmethod
    def stack_frames(self, frames: list[Frame]) -> Tensor:
        """Stacks frames for the renderer: `[T]` codes or `[T, latent_dim]` denormalised latents."""

    def init_state(
        self, device: torch.device | str = "cpu", capacity: int | None = None
    ) -> PredictorState:
        """The state of an empty dialogue, with room for `capacity` positions."""
        room = self.capacity if capacity is None else capacity
        return PredictorState(self.transformer.init_state(1, device, torch.float32, room))

    def encode_texts(self, units: Tensor, lengths: Tensor) -> Tensor:
        """Encodes texts: units `[S, N, 3]` with `lengths` `[S]` to vectors `[S, N, dim]`."""
        return self.units(units, lengths)

    def read(
        self, rows: list[list[Segment]], texts: Tensor | None = None, all_past: bool = False
    ) -> Rows:
        """Embeds rows of segments, for training and inference alike.

        `texts` `[S, N, dim]` is the output of `encode_texts`, computed if None. `all_past`: no turn
        of a row is the one being spoken.
        """
        device = self.kind.weight.device
        segments = [segment for row in rows for segment in row]
        indices, frames = self.index_frames(segments)
        rest = iter(indices)
        positions = [
            serialise(row, [next(rest) for _ in row], self.begin, self._num_past(row, all_past))
            for row in rows
        ]
        first_unit = first_segment = 0
        for row, position in zip(rows, positions, strict=True):
            position.unit += first_unit
            position.segment += first_segment
            first_unit += sum(len(segment.units) for segment in row)
            first_segment += len(row)
        joined = {}
        for name in vars(positions[0]):
            fill = NO_TARGET if name.endswith("target") else 0
            columns = [getattr(position, name) for position in positions]
            padded = nn.utils.rnn.pad_sequence(columns, batch_first=True, padding_value=fill)
            joined[name] = padded.to(device)
        together = Positions(**joined)
        frames = None if frames is None else frames.to(device)
        units, lengths, styles, plans = self.collate(segments)
        if texts is None:
            texts = self.encode_texts(units, lengths)
        around = torch.cat([units_around(segment.units) for segment in segments]).to(device)
        embedded, condition = self.embed(together, texts, lengths, styles, plans, around, frames)
        return Rows(embedded, together, frames, condition)

    def collate(self, segments: list[Segment]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Batches segments: units `[S, N, 3]`, lengths `[S]`, styles `[S, style_dim]` and plans
        `[S, 4]`; raises InputError for symbols outside the model's inventory."""
        device = self.kind.weight.device
        units = nn.utils.rnn.pad_sequence([s.units for s in segments], batch_first=True)
        check_symbols(units[..., 0].flatten().tolist(), len(self.config.symbols), self.name)
        lengths = torch.tensor([len(s.units) for s in segments])
        styles = torch.stack([s.style.to(device) for s in segments])
        nothing = torch.zeros(len(PLAN_FIELDS), dtype=torch.long)
        plans = torch.stack([nothing if s.plan is None else s.plan for s in segments])
        return units.to(device), lengths.to(device), styles, plans.to(device)

    def _num_past(self, row: list[Segment], all_past: bool) -> int:
        """Number of segments of a row that are laid out as AABB."""
        if self.config.order == "ABAB":
            return 0
        begins = [number for number, segment in enumerate(row) if not segment.continues]
        return len(row) if all_past else max(begins, default=0)

    def embed(
        self,
        positions: Positions,
        texts: Tensor,
        lengths: Tensor,
        styles: Tensor,
        plans: Tensor,
        around: Tensor,
        frames: Tensor | None = None,
    ) -> tuple[Tensor, FrameCondition]:
        """Input vectors `[..., L, dim]` and frame conditioning of positions with fields `[..., L]`.

        Args:
            positions: their `unit` indexes the valid units of all segments, concatenated.
            texts: output of `encode_texts`, `[S, N, dim]`.
            lengths: `[S]`.
            styles: `[S, style_dim]`.
            plans: bins `[S, 4]`; ignored for segments without sound.
            around: output of `units_around` for all valid units, `[U, AROUND]`.
            frames: frame table of `index_frames`.
        """
        valid = valid_units(lengths, texts.shape[1])
        flat = texts[valid]
        kind = positions.kind
        x = self.kind(kind)
        zero = torch.zeros((), dtype=x.dtype, device=x.device)

        def where(chosen: Tensor, vectors: Tensor) -> Tensor:
            return torch.where(chosen[..., None], vectors.to(x.dtype), zero)

        def value(chosen: Tensor) -> Tensor:
            return torch.where(chosen, positions.value, 0)

        at_turn, at_plan, at_code = kind == TURN, kind == PLAN, kind == CODE
        heads = self.style(styles)[positions.segment]
        x = x + where(at_turn, self.speaker(value(at_turn)) + heads)
        unit = positions.unit.clamp(max=len(flat) - 1)
        at_unit = flat[unit]
        x = x + where(kind == UNIT, at_unit)
        x = x + where(at_plan, self.plan(value(at_plan)))
        manner = self.manner(plans, styles)[positions.segment]
        condition = self.frame_condition(positions.age, manner, around[unit])
        step = self.embed_frames(value(at_code), frames) + self.at_pointer(at_unit)
        return x + where(at_code, step + condition.age + condition.manner), condition

    def frame_condition(self, age: Tensor | int, manner: Tensor, around: Tensor) -> FrameCondition:
        """Conditioning of frames whose unit has lasted `age` `[...]` frames."""
        if isinstance(age, int):
            return FrameCondition(self.age.weight[min(age, MAX_AGE)], manner, around)
        return FrameCondition(self.age(age.clamp(max=MAX_AGE)), manner, around)

    def manner(self, plans: Tensor, styles: Tensor) -> Tensor:
        """Plan bins `[..., 4]` and styles `[..., style_dim]` to the prosody vectors `[..., dim]`
        added to every frame."""
        vectors = self.plan(self._plan_tokens(plans)).sum(-2)
        return vectors + self.style(styles) if self.voice_in_frames else vectors

    def forward(self, embedded: Tensor) -> Tensor:
        """Input vectors `[B, L, dim]` to hidden states `[B, L, dim]`, causally."""
        index = torch.arange(embedded.shape[1], device=embedded.device)
        return self.transformer(embedded, index, None)

    def advance_loss(self, hidden: Tensor, positions: Positions) -> Tensor:
        """Mean cross-entropy (nats) of the pointer advance at hidden states `[B, L, dim]`."""
        chosen = positions.advance_target >= 0
        logits = self.advance_head(hidden[chosen]).float()
        return F.cross_entropy(logits, positions.advance_target[chosen])

    def plan_loss(self, hidden: Tensor, positions: Positions) -> Tensor:
        """Mean cross-entropy (nats) of the plan tokens at hidden states `[B, L, dim]`."""
        chosen = positions.plan_target >= 0
        target = positions.plan_target[chosen]
        logits = self.plan_head(hidden[chosen]).float().view(-1, len(PLAN_FIELDS), NUM_BINS)
        picked = logits[torch.arange(len(target), device=target.device), target // NUM_BINS]
        return F.cross_entropy(picked, target % NUM_BINS)

    @torch.inference_mode()
    def prefill(
        self,
        state: PredictorState,
        segments: list[Segment],
        texts: Tensor | None = None,
        all_past: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> Tensor:
        """Appends segments to the dialogue; returns the hidden state `[dim]` of the last position.

        `texts` and `all_past` as in `read`. `check` is called before each chunk; if it raises, the
        remaining chunks are not appended.
        """
        return self.append(state, self.read([segments], texts, all_past).embedded, check)

    @torch.inference_mode()
    def append(
        self, state: PredictorState, embedded: Tensor, check: Callable[[], None] = lambda: None
    ) -> Tensor:
        """`prefill` of segments embedded by `read`, `[1, L, dim]`."""
        self._room_for(state, embedded.shape[1])
        hidden = embedded[0]
        for chunk in embedded.split(PREFILL_POSITIONS, dim=1):
            check()
            hidden = self._advance(state, chunk)
        return hidden[-1]

    @torch.inference_mode()
    def plan_steps(self, states: list[PredictorState], field: int, bin_: int) -> Tensor:
        """Appends a plan token to each of B dialogues; returns hidden states `[B, dim]`."""
        x = self.kind.weight[PLAN] + self.plan.weight[field * NUM_BINS + bin_]
        return self._step(x.expand(len(states), -1), states)

    @torch.inference_mode()
    def step(self, steps: list[FrameStep]) -> list[SampledFrame]:
        """Samples the next frame of B sentences in one batch, each in its own dialogue.

        Sentences are independent up to floating-point summation order: hidden states match those of
        a batch of one to a relative 1e-5.
        """
        condition = FrameCondition.joined([step.condition for step in steps])
        hidden = self.frame_steps(steps, condition)
        probs = self.advance_head(hidden).float().softmax(-1)  # queued before the draw waits
        frames = self.draw_frames(hidden, condition, steps)
        return [SampledFrame(*drawn) for drawn in zip(frames, probs.cpu(), strict=True)]

    @torch.inference_mode()
    def frame_steps(self, steps: list[FrameStep], condition: FrameCondition) -> Tensor:
        """Hidden states `[B, dim]` of the next frames of `steps`, given their conditioning."""
        vectors = self._frames_before([step.before for step in steps])
        at_pointer = torch.stack([step.at_pointer for step in steps])
        x = self.kind.weight[CODE] + vectors + at_pointer + condition.age + condition.manner
        return self._step(x, [step.state for step in steps])

    def _step(self, x: Tensor, states: list[PredictorState]) -> Tensor:
        """Appends one position to each of B dialogues, inputs `[B, dim]`."""
        for state in states:
            self._room_for(state, 1)
        positions = [state.next_position for state in states]
        hidden = self.transformer.step(x, positions, [state.past for state in states])
        for state in states:
            state.next_position += 1
        return hidden

    def _frames_before(self, frames: list[Frame | None]) -> Tensor:
        """Embeds the previous frames as `[B, dim]`; None stands for the start of speech."""
        device = self.kind.weight.device
        latents = [frame for frame in frames if isinstance(frame, Tensor)]
        rows = itertools.count()
        indices = [
            self.begin if frame is None else next(rows) if isinstance(frame, Tensor) else frame
            for frame in frames
        ]
        table = torch.stack(latents).to(device) if latents else None
        return self.embed_frames(torch.tensor(indices, device=device), table)

    @torch.inference_mode()
    def encode_units(self, units: Tensor) -> Tensor:
        """Encodes the units `[N, 3]` of one segment as `[N, dim]`."""
        check_symbols(units[:, 0].tolist(), len(self.config.symbols), self.name)
        units = units.to(self.kind.weight.device)
        lengths = torch.tensor([len(units)], device=units.device)
        return self.encode_texts(units[None], lengths)[0]

    @torch.inference_mode()  # inference tensors in the cache can only be modified in inference mode
    def end_turn(self, state: PredictorState) -> None:
        """Closes the current turn; evicts the oldest turns beyond the window or `MAX_PAST_TURNS`,
        the longest history seen in training."""
        state.sentence_ends = [end for end in state.sentence_ends if end < state.length]
        self.make_room(state)
        state.turn_ends.append(state.length)
        state.sentence_ends.clear()
        while len(state.turn_ends) > MAX_PAST_TURNS:
            state.forget(state.turn_ends[0])

    @torch.inference_mode()
    def make_room(self, state: PredictorState, count: int = 0, window: int | None = None) -> None:
        """Evicts the oldest whole turns, then the oldest sentences of the open turn, until `count`
        more positions fit into `window` (None: `max_positions`)."""
        most = self.config.max_positions if window is None else window
        while state.length + count > most and (state.turn_ends or state.sentence_ends):
            state.forget((state.turn_ends or state.sentence_ends)[0])

    def _advance(self, state: PredictorState, embedded: Tensor) -> Tensor:
        length = embedded.shape[1]
        self._room_for(state, length)
        index = torch.arange(length, device=embedded.device) + state.next_position
        hidden = self.transformer(embedded, index, None, state.past)
        state.next_position += length
        return hidden[0]

    def _room_for(self, state: PredictorState, count: int) -> None:
        if state.length + count > self.capacity:
            self.make_room(state, count, self.capacity)

    def _plan_tokens(self, plans: Tensor) -> Tensor:
        return plans + torch.arange(len(PLAN_FIELDS), device=plans.device) * NUM_BINS
