"""End-of-turn detection from the turn's audio, its words, and the length of the pause.

Smart Turn estimates from the audio whether the user has finished, at the start of a pause and again
as it grows; the words so far tell whether a sentence may end there. The silence that ends the turn
ranges from `_SOONEST_MS` if it has surely ended to seconds if surely not.
"""

import math
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from app.endpointing import MOST_PATIENT_MS
from data.audio import SAMPLE_RATE, resample
from data.recognition.sentence_ends import end_log_odds, load_sentence_ends, tokens, trails_off
from data.recognition.smart_turn import TURN_HZ, SmartTurn

LONGEST_S = 8  # audio judged, from the end of the turn
_RESTED_S = 0.5
WORDS_WITHIN_MS = 700  # the end of a turn waits at most this long for the transcript
ASKED_MS = (200, 300, 400, 600, 800, 1000)
"""Lengths of silence at which the audio is judged."""
_SOONEST_MS = 300
_CERTAIN = 1.5  # log odds from which `_SOONEST_MS` of silence is enough
_DOUBT = 0.7  # share of the longest silence for each unit below
_NUM_JUDGEMENTS = 3  # the last ones count: single ones vary
# Written dialogues seldom end a sentence with "seven" or "Berlin", but short answers do.
_SHORT = {"en": 2, "zh": 6}  # words or characters
_SHORT_MS = 800  # silence that ends a short answer of which Smart Turn is sure
_SURE = 3.8  # log odds
_LIMITS = (0.005, 0.995)  # of Smart Turn's probability


@dataclass(frozen=True)
class Weights:
    """Coefficients of the logistic regression on a turn's end."""

    audio: float
    words: float = 0.0
    bias: float = 0.0

    def log_odds(self, values: "Features") -> float:
        return self.audio * values.audio + self.words * values.words + self.bias


class Features(NamedTuple):
    """What is known in a pause.

    Attributes:
        audio: mean log odds of Smart Turn's last judgements.
        words: log odds that a sentence ends with the words so far.
    """

    audio: float
    words: float = 0.0


# Fitted by `python -m app.measuring.turn_ending_fit`.
_WITH_WORDS = {
    "en": Weights(audio=0.44, words=0.54, bias=0.75),
    "zh": Weights(audio=0.87, words=1.22, bias=0.6),
}
_WITHOUT_WORDS = Weights(audio=0.56, bias=-0.05)


class TurnJudge:
    """Runs Smart Turn for all sessions, in one thread.

    Args:
        model: the Smart Turn model.
    """

    def __init__(self, model: SmartTurn) -> None:
        self._model = model
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="turn-judge")
        self._judged_at = -math.inf
        load_sentence_ends()  # else the first pause of a conversation waits for it

    def judge(self, samples: np.ndarray) -> "Future[float]":
        """The probability that a turn ends with samples `[T]` at 24 kHz. Never blocks."""
        return self._pool.submit(self._judged, samples[-LONGEST_S * SAMPLE_RATE :])

    def warm_up(self) -> None:
        """Judges silence, unless it judged something within half a second: the first run in a
        process, or after seconds of rest, is slow. Never blocks."""
        if time.monotonic() - self._judged_at > _RESTED_S:
            self.judge(np.zeros(SAMPLE_RATE // 10, np.float32))

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown(cancel_futures=True)

    def _judged(self, samples: np.ndarray) -> float:
        finished = self._model.finished(resample(samples, SAMPLE_RATE, TURN_HZ))
        self._judged_at = time.monotonic()
        return finished


def features(judged: Sequence[float], text: str) -> Features | None:
    """What is known in a pause; None if the text has no words.

    Args:
        judged: Smart Turn's probabilities, in order, as the pause grew.
        text: the transcript.
    """
    words = end_log_odds(text)
    if words is None:
        return None
    return Features(_mean_log_odds(judged), words)


def language_of_end(text: str) -> str:
    """The language of a text's last word: "en" or "zh"."""
    return "en" if tokens(text)[-1].isascii() else "zh"


def log_odds_of_end(judged: Sequence[float], text: str) -> float:
    """The log odds that the turn has ended.

    Args:
        judged: Smart Turn's probabilities, in order, as the pause grew.
        text: the transcript; empty if unknown.
    """
    found = features(judged, text)
    if found is None:
        return _WITHOUT_WORDS.log_odds(Features(_mean_log_odds(judged)))
    return _WITH_WORDS[language_of_end(text)].log_odds(found)


def patience_ms(judged: Sequence[float], text: str, eagerness: str) -> float:
    """The silence in ms that ends a turn.

    Args:
        judged, text: see `log_odds_of_end`.
        eagerness: a key of `MOST_PATIENT_MS`.
    """
    doubt = min(1.0, _DOUBT * max(0.0, _CERTAIN - log_odds_of_end(judged, text)))
    patience = _SOONEST_MS + (MOST_PATIENT_MS[eagerness] - _SOONEST_MS) * doubt
    if _is_short(text) and _mean_log_odds(judged) >= _SURE:
        return min(patience, _SHORT_MS)
    return patience


def _is_short(text: str) -> bool:
    words = tokens(text)
    if not words or trails_off(text):
        return False
    return len(words) <= _SHORT[language_of_end(text)]


def _mean_log_odds(judged: Sequence[float]) -> float:
    last = [min(max(one, _LIMITS[0]), _LIMITS[1]) for one in judged[-_NUM_JUDGEMENTS:]]
    return sum(math.log(one / (1 - one)) for one in last) / len(last)
