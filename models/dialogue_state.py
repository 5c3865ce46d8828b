"""State of a running dialogue: its turns and the predictor's KV cache."""

import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from data.limits import MAX_TURN, last_words
from models.mel import SAMPLE_RATE
from models.pipe import AbandonedError
from models.predictors.dialogue_model import MAX_PAST_TURNS, DialogueModel
from models.predictors.steps import PredictorState
from models.voice import Prompt

AGENT = 1
MAX_USER_AUDIO_S = 30


@dataclass
class ContextTurn:
    """A turn of the history: `who` (0 the user, 1 the agent), text, and samples `[T]` or None."""

    who: int
    text: str
    samples: np.ndarray | None


def truncated_turn(who: int, text: str, sound: np.ndarray | None) -> ContextTurn:
    """A turn with the last `MAX_USER_AUDIO_S` of its audio and the matching part of its text, up
    to `MAX_TURN` characters."""
    longest = MAX_USER_AUDIO_S * SAMPLE_RATE
    if sound is not None and len(sound) > longest:
        words = text.split()
        text = " ".join(words[len(words) - round(longest / len(sound) * len(words)) :])
        sound = sound[-longest:]
    return ContextTurn(who, last_words(text, MAX_TURN), sound)


@dataclass
class Mark:
    """A position of the predictor's KV cache to return to."""

    length: int
    next_position: int
    turn_ends: list[int]
    sentence_ends: list[int]


@dataclass
class DialogueState:
    """One conversation, owned by one caller at a time; a `Speaker` serves many.

    Attributes:
        model: the predictor that speaks in it.
        predictor: that model's state.
        turns: what is needed to rebuild the cache.
        open_reply: work of the reply that is started but not committed.
        before_reply: the cache position before that reply.
        before_turn: the cache position before the last added turn.
        prompt: sample of a cloned voice at the start of the cache.
        abandoned: returns whether every client has left.
    """

    model: DialogueModel
    predictor: PredictorState
    turns: deque[ContextTurn] = field(default_factory=lambda: deque(maxlen=MAX_PAST_TURNS))
    # Weak: the work references its dialogue, and a cycle would keep a cache of 19 MB until garbage
    # collection. The work's threads keep it alive while they run.
    open_reply: "weakref.ref[Any] | None" = None
    before_reply: Mark | None = None
    before_turn: Mark | None = None
    prompt: Prompt | None = None
    abandoned: Callable[[], bool] = lambda: False

    def check(self) -> None:
        """Raises AbandonedError once every client has left."""
        if self.abandoned():
            raise AbandonedError

    def mark(self) -> Mark:
        """The current cache position."""
        state = self.predictor
        ends = list(state.turn_ends), list(state.sentence_ends)
        return Mark(state.length, state.next_position, *ends)

    def return_to(self, mark: Mark) -> bool:
        """Removes everything that entered the cache after `mark`.

        Returns:
            Whether everything before it is still cached; the oldest turns may have been evicted.
        """
        state = self.predictor
        # Cached positions are consecutive, so the first one tells how many were evicted.
        lost = (state.next_position - state.length) - (mark.next_position - mark.length)
        for cache in state.past:
            cache.truncate(max(0, mark.length - lost))
        state.next_position = mark.next_position
        state.turn_ends = [end - lost for end in mark.turn_ends if end > lost]
        state.sentence_ends = [end - lost for end in mark.sentence_ends if end > lost]
        return lost == 0
