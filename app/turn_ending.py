"""Whether a user who pauses has finished: how the turn sounds, what its last word is, and how long
the pause has lasted.

Smart Turn judges the sound when a pause begins and again as it grows; the words, which are
recognised meanwhile, may object. From both follows how long a silence ends the turn: hardly any
where the speaker has surely finished, seconds where surely not.
"""

import re
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from app.hearing import MOST_PATIENT_MS
from data.audio import SAMPLE_RATE, resample
from data.recognition.smart_turn import TURN_HZ, SmartTurn

LONGEST_S = 8  # of a turn that is judged
WORDS_WITHIN_MS = 700  # words that come later do not hold up the end
ASKED_MS = (200, 400, 600, 800, 1000)
"""Silences at which the sound is judged, each time with more silence behind it."""
_SOONEST_MS = 300
_CERTAIN = 0.93  # probability from which no more than `_SOONEST_MS` is waited
_OBJECTION = 0.3  # what is left of the probability when the last word wants another
_OPEN_ENDED = re.compile(
    r"(?:\b(?:a|an|the|my|your|his|her|its|our|their|this|these|those|some|any|every|and|or|but|so|"
    r"because|if|when|while|that|which|whose|than|as|of|to|in|on|at|for|from|with|by|about|into|"
    r"i|we|they|he|she|i'm|we're|you're|they're|he's|she's|it's|is|are|was|were|am|be|will|would|"
    r"can|could|should|must|may|might|do|does|did|have|has|had|very|um|uh|er|erm|well|like)"
    r"|\.\.\.|[…,，、的和跟与或把被在从对给就也但而且因为所以如果那这嗯呃个])\W*$",
    re.IGNORECASE,
)


class TurnJudge:
    """Judges pauses of all sessions, one after the other, in a thread of its own.

    Args:
        model: that judges.
    """

    def __init__(self, model: SmartTurn) -> None:
        self._model = model
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="turn-judge")

    def judge(self, samples: np.ndarray) -> "Future[float]":
        """The probability that the turn is over with samples `[T]` at 24 kHz. Never waits."""
        return self._pool.submit(self._judged, samples[-LONGEST_S * SAMPLE_RATE :])

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(cancel_futures=True)

    def _judged(self, samples: np.ndarray) -> float:
        return self._model.finished(resample(samples, SAMPLE_RATE, TURN_HZ))


def patience_ms(judged: Sequence[float], text: str, eagerness: str) -> float:
    """The silence that ends a turn.

    Args:
        judged: the probabilities, by its sound, that the turn is over, as the pause grew. The last
            two must agree: one alone is now and then high inside a turn.
        text: its words; empty where they are not known.
        eagerness: a key of `MOST_PATIENT_MS`.
    """
    finished = min(judged[-2:])
    if _OPEN_ENDED.search(text):
        finished *= _OBJECTION
    doubt = max(0.0, 1.0 - finished / _CERTAIN)
    return _SOONEST_MS + (MOST_PATIENT_MS[eagerness] - _SOONEST_MS) * doubt
