"""A step of many dialogues at once: what goes in for each of them, and what comes of it."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.predictors.sampling import SamplingOptions
from models.transformer import KeyValues

Frame = int | Tensor  # a code, or a normalised latent `[latent_dim]`


@dataclass(frozen=True)
class FrameCondition:
    """What frames are told beside the frame before them and the unit under the pointer.

    Attributes:
        age: of how long that unit has lasted, `[..., dim]`.
        manner: of `DialogueModel.manner`, `[..., dim]`.
        around: the units around the pointer, `[..., AROUND]` (`units_around`).
    """

    age: Tensor
    manner: Tensor
    around: Tensor

    def __getitem__(self, chosen: Tensor | int | None) -> "FrameCondition":
        return FrameCondition(*(value[chosen] for value in vars(self).values()))

    @staticmethod
    def joined(each: "list[FrameCondition]") -> "FrameCondition":
        """Those of B frames, `[...]`, as one, `[B, ...]`."""
        parts = zip(*(vars(one).values() for one in each), strict=True)
        return FrameCondition(*(torch.stack(part) for part in parts))


@dataclass
class PredictorState:
    """What the predictor remembers of a running dialogue.

    `turn_ends` are the cache positions where whole turns end, oldest first, and `sentence_ends`
    those where sentences of the open turn, the one being spoken, end.
    """

    past: list[KeyValues]
    next_position: int = 0
    turn_ends: list[int] = field(default_factory=list)
    sentence_ends: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        return self.past[0].length

    def copy(self) -> "PredictorState":
        past = [cache.copy() for cache in self.past]
        ends = list(self.turn_ends), list(self.sentence_ends)
        return PredictorState(past, self.next_position, *ends)

    def forget(self, end: int) -> None:
        """The first `end` positions leave."""
        for cache in self.past:
            cache.drop(0, end)
        self.turn_ends = [each - end for each in self.turn_ends if each > end]
        self.sentence_ends = [each - end for each in self.sentence_ends if each > end]


@dataclass(frozen=True)
class FrameStep:
    """What a sentence needs to go on by a frame.

    Attributes:
        state: of its dialogue, which the step extends.
        before: the frame before; None: there is none.
        at_pointer: what the unit under the pointer says, `[dim]` (`at_pointer` of `encode_units`).
        told: what the frame is told beside, `[...]`.
        options: how it is drawn.
        generator: of this sentence alone, on the CPU: what others draw does not touch it.
        frames: all of the sentence so far.
    """

    state: PredictorState
    before: Frame | None
    at_pointer: Tensor
    told: FrameCondition
    options: SamplingOptions
    generator: torch.Generator
    frames: list[Frame]


@dataclass(frozen=True)
class FrameDrawn:
    """What comes of a `FrameStep`: the frame, and the chance of each advance of the pointer after
    it, `[MAX_ADVANCE + 1]`, on the CPU."""

    frame: Frame
    chances: Tensor
