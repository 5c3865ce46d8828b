"""What a running dialogue remembers: its turns, and the predictor's cache of them."""

import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.limits import MAX_TURN, last_words
from models.mel import SAMPLE_RATE
from models.pipe import UnwantedError
from models.predictors.dialogue_model import MAX_PAST_TURNS, DialogueModel
from models.predictors.steps import PredictorState
from models.voice import Prompt

AGENT = 1
MAX_HEARD_SECONDS = 30


@dataclass
class HeardTurn:
    """A turn as it was heard: who (0 the user, 1 the agent), text, samples `[T]` or None."""

    who: int
    text: str
    samples: np.ndarray | None


def end_of_turn(who: int, text: str, sound: np.ndarray | None) -> HeardTurn:
    """A turn, or the end of one that is too long to be heard whole."""
    longest = MAX_HEARD_SECONDS * SAMPLE_RATE
    if sound is not None and len(sound) > longest:
        words = text.split()
        text = " ".join(words[len(words) - round(longest / len(sound) * len(words)) :])
        sound = sound[-longest:]
    return HeardTurn(who, last_words(text, MAX_TURN), sound)


@dataclass
class Mark:
    """Where the predictor's cache stood, so that it can go back."""

    length: int
    next_position: int
    turn_ends: list[int]
    sentence_ends: list[int]


@dataclass
class DialogueState:
    """One conversation. It belongs to one caller at a time; `Speaker` serves many.

    `model` is the predictor that speaks in it, `predictor` that model's state. `turns` are the ones
    needed to fill the cache anew. Between the start of a reply and its commit, `open_reply` refers
    to its work and `before_reply` is where the cache stood. `prompt` leads the cache. `unwanted`
    tells whether everybody has left it.
    """

    model: DialogueModel
    predictor: PredictorState
    turns: deque[HeardTurn] = field(default_factory=lambda: deque(maxlen=MAX_PAST_TURNS))
    # Weak, since the work holds its dialogue: two that hold each other, and a cache of 19 MB with
    # them, would wait for the collector of cycles. Its threads hold it while they run.
    open_reply: "weakref.ref[Any] | None" = None
    before_reply: Mark | None = None
    prompt: Prompt | None = None
    unwanted: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Raises UnwantedError when everybody has left."""
        if self.unwanted():
            raise UnwantedError

    def mark(self) -> Mark:
        """Where the cache stands now."""
        state = self.predictor
        ends = list(state.turn_ends), list(state.sentence_ends)
        return Mark(state.length, state.next_position, *ends)

    def return_to(self, mark: Mark) -> bool:
        """Forgets what entered the cache since `mark`.

        Returns:
            Whether all that stood before it is still there: the oldest turns may have left since.
        """
        state = self.predictor
        # The cache holds consecutive positions, so the first of them tells how many have left.
        lost = (state.next_position - state.length) - (mark.next_position - mark.length)
        for cache in state.past:
            cache.truncate(max(0, mark.length - lost))
        state.next_position = mark.next_position
        state.turn_ends = [end - lost for end in mark.turn_ends if end > lost]
        state.sentence_ends = [end - lost for end in mark.sentence_ends if end > lost]
        return lost == 0
