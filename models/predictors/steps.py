"""Inputs and outputs of a batched step over many dialogues."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.kv_cache import KeyValues
from models.predictors.sampling import SamplingOptions

Frame = int | Tensor  # a code, or a normalised latent `[latent_dim]`


@dataclass(frozen=True)
class FrameCondition:
    """Conditioning of a frame beyond the previous frame and the unit under the pointer.

    Attributes:
        age: embedding of how many frames that unit has lasted, `[..., dim]`.
        manner: output of `DialogueModel.manner`, `[..., dim]`.
        around: the units around the pointer, `[..., AROUND]` (`units_around`).
    """

    age: Tensor
    manner: Tensor
    around: Tensor

    def __getitem__(self, chosen: Tensor | int | None) -> "FrameCondition":
        return FrameCondition(*(value[chosen] for value in vars(self).values()))

    @staticmethod
    def joined(each: "list[FrameCondition]") -> "FrameCondition":
        """Stacks B conditions `[...]` as one, `[B, ...]`."""
        if len(each) == 1:
            return each[0][None]
        parts = zip(*(vars(one).values() for one in each), strict=True)
        return FrameCondition(*(torch.stack(part) for part in parts))


@dataclass
class PredictorState:
    """KV cache and bookkeeping of one running dialogue.

    `turn_ends` and `sentence_ends` are cache positions, oldest first: ends of whole turns, and of
    sentences of the open turn.
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
        """Evicts the first `end` positions."""
        for cache in self.past:
            cache.drop(0, end)
        self.turn_ends = [each - end for each in self.turn_ends if each > end]
        self.sentence_ends = [each - end for each in self.sentence_ends if each > end]


@dataclass(frozen=True)
class FrameStep:
    """What one sentence needs for its next frame.

    Attributes:
        state: its dialogue's state, extended by the step.
        before: previous frame, None at the start.
        at_pointer: `at_pointer` of the encoded unit under the pointer, `[dim]`.
        condition: conditioning of the frame, fields `[...]`.
        options: sampling options.
        generator: this sentence's own, on the CPU, so that other sentences cannot affect it.
        frames: the sentence's frames so far.
    """

    state: PredictorState
    before: Frame | None
    at_pointer: Tensor
    condition: FrameCondition
    options: SamplingOptions
    generator: torch.Generator
    frames: list[Frame]


@dataclass(frozen=True)
class SampledFrame:
    """Result of a `FrameStep`.

    Attributes:
        frame: the sampled frame.
        advance_probs: probabilities of the pointer's advances after it, `[MAX_ADVANCE + 1]`, CPU.
    """

    frame: Frame
    advance_probs: Tensor
