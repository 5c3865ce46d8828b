"""End-of-turn detection from the turn's audio, its last word, and the length of the pause.

Smart Turn estimates from the audio whether the user has finished, at the start of a pause and again
as it grows; an open-ended last word of the transcript lowers the probability. The silence that ends
the turn ranges from `_SOONEST_MS` if it has surely ended to seconds if it surely has not.
"""

import re
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from app.endpointing import MOST_PATIENT_MS
from data.audio import SAMPLE_RATE, resample
from data.recognition.smart_turn import TURN_HZ, SmartTurn

LONGEST_S = 8  # audio judged, from the end of the turn
WORDS_WITHIN_MS = 700  # the end of a turn waits at most this long for the transcript
ASKED_MS = (200, 400, 600, 800, 1000)
"""Lengths of silence at which the audio is judged."""
_SOONEST_MS = 300
_CERTAIN = 0.93  # probability from which `_SOONEST_MS` of silence is enough
_OBJECTION = 0.3  # factor on the probability after an open-ended last word
# Words that end no sentence, and words that end few: Whisper's full stop tells.
_OPEN_ENDED = re.compile(
    r"(?:\b(?:a|an|the|my|your|its|our|their|every|and|or|but|because|if|while|whose|than|as|i'm|"
    r"we're|you're|they're|he's|she's|it's|very|um|uh|er|erm)"
    r"|\.\.\.|[…，,、的和跟与或把被在从对给就也但而且因为所以如果那这嗯呃个])\W*$"
    r"|\b(?:his|her|this|these|those|some|any|so|when|that|which|of|to|in|on|at|for|from|with|by|"
    r"about|into|i|we|they|he|she|is|are|was|were|am|be|will|would|can|could|should|must|may|might|"
    r"do|does|did|have|has|had|well|like)[^\w.?!]*$",
    re.IGNORECASE,
)


class TurnJudge:
    """Runs Smart Turn for all sessions, in one thread.

    Args:
        model: the Smart Turn model.
    """

    def __init__(self, model: SmartTurn) -> None:
        self._model = model
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="turn-judge")

    def judge(self, samples: np.ndarray) -> "Future[float]":
        """The probability that a turn ends with samples `[T]` at 24 kHz. Never blocks."""
        return self._pool.submit(self._judged, samples[-LONGEST_S * SAMPLE_RATE :])

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(cancel_futures=True)

    def _judged(self, samples: np.ndarray) -> float:
        return self._model.finished(resample(samples, SAMPLE_RATE, TURN_HZ))


def patience_ms(judged: Sequence[float], text: str, eagerness: str) -> float:
    """The silence in ms that ends a turn.

    Args:
        judged: probabilities that the turn has ended, in order, as the pause grew. The lower of
            the last two counts, since single ones can be high within a turn.
        text: the transcript; empty if unknown.
        eagerness: a key of `MOST_PATIENT_MS`.
    """
    finished = min(judged[-2:])
    if _OPEN_ENDED.search(text):
        finished *= _OBJECTION
    doubt = max(0.0, 1.0 - finished / _CERTAIN)
    return _SOONEST_MS + (MOST_PATIENT_MS[eagerness] - _SOONEST_MS) * doubt
