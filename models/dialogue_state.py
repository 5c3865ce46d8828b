"""What a running dialogue remembers: its turns, and the predictor's cache of them."""

import weakref
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.predictors.dialogue_model import DialogueModel, PredictorState
from models.voice import Prompt

AGENT = 1


@dataclass
class HeardTurn:
    """A turn as it was heard: who (0 the user, 1 the agent), text, samples `[T]` or None."""

    who: int
    text: str
    samples: np.ndarray | None


@dataclass
class Mark:
    """Where the predictor's cache stood, so that it can go back."""

    length: int
    next_position: int
    turn_ends: list[int]


@dataclass
class DialogueState:
    """One conversation. It belongs to one caller at a time; `Speaker` serves many.

    `model` is the predictor that speaks in it, `predictor` what that remembers. `turns` is what was
    heard. While a reply has been started and not committed, `open_reply` knows it, and
    `before_reply` is where the cache stood. `prompt` leads the dialogue in the predictor's cache.
    """

    model: DialogueModel
    predictor: PredictorState
    turns: list[HeardTurn] = field(default_factory=list)
    # Weak, since a reply holds its dialogue: two that hold each other, and a cache of 19 MB with
    # them, would wait for the collector of cycles.
    open_reply: "weakref.ref[Any] | None" = None
    before_reply: Mark | None = None
    prompt: Prompt | None = None

    def mark(self) -> Mark:
        """Where the cache stands now."""
        state = self.predictor
        return Mark(state.length, state.next_position, list(state.turn_ends))

    def return_to(self, mark: Mark) -> None:
        """Forgets what entered the cache since `mark`."""
        for cache in self.predictor.past:
            cache.truncate(mark.length)
        self.predictor.next_position = mark.next_position
        self.predictor.turn_ends = list(mark.turn_ends)
