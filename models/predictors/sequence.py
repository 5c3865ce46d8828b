"""The dialogue as one sequence, the same for training and for speaking.

Each segment (a turn, or a sentence of one) is written as

    <turn, speaker k> unit ... unit <audio> pitch range level rate code ... code

in the order of the dialogue: ABAB, text and sound of a turn together (GPT-Talker, section 3.3). In
the paper's other order, AABB, the texts of all past turns come first and then their sounds, each
from `<audio>` on. The phone under the pointer is an input of every code position. A turn without
sound ends after `<audio>`. What a position predicts is written beside it.
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
        speaker: 0 who speaks first, 1 the other.
        continues: whether it goes on with the turn of the segment before.
        units: `[N, 3]`, symbol, stress and word start of each unit.
        style: `[style_dim]`, whose voice.
        plan: `[4]` bins, or None without sound.
        frames: T of them, or None without sound.
        pointer: `[T]`, the unit under the pointer at each frame; it starts anywhere, never goes
            back, and rises by at most `MAX_ADVANCE`.
        history: what stands for `frames` where they are the past of later ones, if it is not
            they; for training.
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
    """The whole numbers `[T]` that stand for a segment's frames in the sequence: `target` where
    they are predicted, `history` where they are the past of later ones."""

    target: Tensor
    history: Tensor


@dataclass
class Positions:
    """A stretch of the sequence, every field `[L]`.

    `value` is the speaker (twice, plus whether it continues) at `TURN`, the field's bin at `PLAN`
    (field times 16, plus bin) and the index of the frame before at `CODE` (`begin` before the
    first). `unit` is an index into the units of all segments of this stretch, one after the other,
    `segment` into the segments, `age` how many frames the pointer has stood. Targets are
    `NO_TARGET` where there is nothing to predict.
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
    """How many frames the pointer `[T]` has stood at its unit, at most `MAX_AGE`."""
    index = torch.arange(len(pointer))
    moved = torch.ones_like(pointer, dtype=torch.bool)
    moved[1:] = pointer[1:] != pointer[:-1]
    last_move = torch.where(moved, index, torch.zeros_like(index)).cummax(0).values
    return (index - last_move).clamp(max=MAX_AGE)


def serialise(
    segments: list[Segment], indices: list[FrameIndices | None], begin: int, num_past: int = 0
) -> Positions:
    """Writes segments as positions: the first `num_past` in the order AABB, the others ABAB.

    Args:
        segments: the sequence.
        indices: of the frames of each, None without sound.
        begin: stands for the frame before the first.
        num_past: how many segments are past turns in the order AABB.
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
    # The last frame's advance leaves the text: that is the end of speech.
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
