"""The dialogue as one token sequence, shared by training and inference.

Each segment (a turn, or a sentence of one) is

    <turn, speaker k> unit ... unit <audio> pitch range level rate code ... code

in dialogue order: ABAB, each turn's text followed by its audio (GPT-Talker, section 3.3). In the
paper's other order, AABB, the texts of all past turns come first, then their audio, each introduced
by `<audio>`. Every position carries its prediction targets.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.predictors.frames import Frames
from models.predictors.plan import NUM_BINS, PLAN_FIELDS

TURN, UNIT, AUDIO, PLAN, CODE = range(5)
MAX_ADVANCE = 4
MAX_AGE = 15
NO_TARGET = -1


@dataclass
class Segment:
    """A turn, or one sentence of it.

    Attributes:
        speaker: 0 for whoever speaks first, 1 for the other.
        continues: whether it continues the previous segment's turn.
        units: symbol, stress and word start of each unit, `[N, 3]`.
        style: the speaker's style vector, `[style_dim]`.
        plan: bins `[4]`, None without sound.
        frames: T of them, None without sound.
        pointer: unit under the pointer at each frame, `[T]`; starts anywhere, never goes back,
            advances by at most `MAX_ADVANCE`.
        history: replaces `frames` as the history of later frames; None: `frames`. For training.
        refined: refined units of the frames, `[T]`, for training HAM-TTS.
    """

    speaker: int
    continues: bool
    units: Tensor
    style: Tensor
    plan: Tensor | None = None
    frames: Frames | None = None
    pointer: Tensor | None = None
    history: Frames | None = None
    refined: Tensor | None = None

    @property
    def num_positions(self) -> int:
        sound = 0 if self.frames is None else len(PLAN_FIELDS) + len(self.frames)
        return 2 + len(self.units) + sound


@dataclass(frozen=True)
class FrameIndices:
    """Indices `[T]` of a segment's frames: `target` as prediction targets, `history` as input to
    later frames."""

    target: Tensor
    history: Tensor


@dataclass
class Positions:
    """A stretch of the sequence; every field is `[L]`.

    `value` is `2 * speaker + continues` at `TURN`, `16 * field + bin` at `PLAN`, and the index of
    the previous frame at `CODE` (`begin` for the first). `unit` indexes the concatenated units of
    all segments, `segment` the segments; `age` counts the frames the pointer has stayed. Targets
    are `NO_TARGET` where nothing is predicted.
    """

    kind: Tensor
    value: Tensor
    unit: Tensor
    segment: Tensor
    age: Tensor
    code_target: Tensor
    advance_target: Tensor
    plan_target: Tensor


@dataclass
class _Rows:
    rows: list[Tensor] = field(default_factory=list)

    def add(self, length: int, kind: int, **columns: Tensor | int) -> None:
        row = torch.zeros(8, length, dtype=torch.long)
        row[5:] = NO_TARGET
        row[0] = kind
        for name, values in columns.items():
            row[_COLUMNS.index(name)] = torch.as_tensor(values)
        self.rows.append(row)


_COLUMNS = (
    "kind",
    "value",
    "unit",
    "segment",
    "age",
    "code_target",
    "advance_target",
    "plan_target",
)


def ages(pointer: Tensor) -> Tensor:
    """Frames that the pointer `[T]` has stayed at its unit, at most `MAX_AGE`."""
    index = torch.arange(len(pointer))
    moved = torch.ones_like(pointer, dtype=torch.bool)
    moved[1:] = pointer[1:] != pointer[:-1]
    last_move = torch.where(moved, index, torch.zeros_like(index)).cummax(0).values
    return (index - last_move).clamp(max=MAX_AGE)


def serialise(
    segments: list[Segment], indices: list[FrameIndices | None], begin: int, num_past: int = 0
) -> Positions:
    """Lays segments out as positions: the first `num_past` as AABB, the others as ABAB.

    Args:
        segments: the sequence.
        indices: frame indices of each segment, None without sound.
        begin: index of the begin-of-speech frame.
        num_past: number of past segments to lay out as AABB.
    """
    out = _Rows()
    firsts = [0]
    for segment in segments:
        firsts.append(firsts[-1] + len(segment.units))

    def text(number: int) -> None:
        segment = segments[number]
        count = len(segment.units)
        speaker = 2 * segment.speaker + int(segment.continues)
        out.add(1, TURN, value=speaker, segment=number)
        out.add(count, UNIT, unit=torch.arange(count) + firsts[number], segment=number)

    def sound(number: int) -> None:
        found = indices[number]
        if found is None:
            out.add(1, AUDIO, segment=number)
        else:
            _add_sound(out, segments[number], found, number, firsts[number], begin)

    for number in range(num_past):
        text(number)
    for number in range(num_past):
        sound(number)
    for number in range(num_past, len(segments)):
        text(number)
        sound(number)
    return Positions(*torch.cat(out.rows, dim=1))


def _add_sound(
    out: _Rows, segment: Segment, indices: FrameIndices, number: int, first_unit: int, begin: int
) -> None:
    plan, pointer = segment.plan, segment.pointer
    assert plan is not None and pointer is not None
    fields = torch.arange(len(PLAN_FIELDS)) * NUM_BINS
    tokens = fields + plan
    out.add(1, AUDIO, segment=number, plan_target=tokens[0])
    plan_targets = torch.cat([tokens[1:], torch.tensor([NO_TARGET])])
    out.add(len(tokens), PLAN, value=tokens, segment=number, plan_target=plan_targets)
    before = torch.cat([torch.tensor([begin]), indices.history[:-1]])
    # The last frame's advance leaves the text, which ends speech.
    after = torch.cat([pointer[1:], torch.tensor([max(len(segment.units), int(pointer[-1]) + 1)])])
    out.add(
        len(indices.target),
        CODE,
        value=before,
        unit=pointer + first_unit,
        segment=number,
        age=ages(pointer),
        code_target=indices.target,
        advance_target=(after - pointer).clamp(max=MAX_ADVANCE),
    )
