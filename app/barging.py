"""Barge-in: is speech over the agent an interruption, or a backchannel, a cough, a laugh?

Once it is long enough for a word, a quick partial recognition decides. A backchannel ("mm-hm",
"yeah", "right") may become a sentence, so it is checked again.
"""

import re
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

import numpy as np

from app.hearing import Ears, Heard
from app.voice_activity import FRAME_MS
from data.text import HAN_LETTERS
from models.text import language_of
from models.text.frontend import MANDARIN

_MOSTLY = 0.6  # minimum voiced share of an interruption
_LOOK_AHEAD_MS = 110  # maximum duration of a partial recognition on an idle machine
_NEXT_LOOK_MS = 350
_LONGEST_MS = 1800  # no backchannel is that long
_ASSENT = frozenset(
    "yes yeah yep yup yah ya right okay ok sure oh ah aha uh huh hm hmm mm mmm mhm mmhm mhmm um "
    "wow really true exactly good great nice cool fine see i ha haha hahaha hehe "
    "嗯 哦 噢 啊 对 是 好 的 嗯嗯 对对 是的 好的 行 哈".split()
)
# Whisper's transcripts of a hum.
_HUM = re.compile(
    r"^(?:m+|h+|[mh]+[aeiuoy]?m*[mh]*[iy]?|ah*|uh*|[aeu]|el|else|elsa|amen|amy|mommy|[嗯哈啊哦呃]+)$"
)


@runtime_checkable
class Glances(Protocol):
    """A recogniser that can quickly transcribe the beginning of an utterance."""

    def glance(self, samples: np.ndarray, language: str) -> "Future[str]":
        """The first words of samples [T] at 24 kHz; may be wrong. Never blocks.

        Args:
            samples: the beginning of the utterance.
            language: "en" or "zh"; overridden by a recogniser's fixed language.
        """
        ...


class Barging:
    """The user's speech over the agent.

    Args:
        recognizer: the session's; without `glance` any speech interrupts.

    Attributes:
        heard: transcript of its beginning; None outside speech.
    """

    def __init__(self, recognizer: object) -> None:
        self.heard: Heard | None = None
        self._glances = recognizer if isinstance(recognizer, Glances) else None
        self._look: Future[str] | None = None
        self._next_look_ms = 0.0
        self._language = "en"

    def begin(self, heard: Heard, interrupt_ms: int, over: str) -> None:
        """Speech has started over an answer; after `interrupt_ms` it may interrupt. Its language is
        assumed to be the answer's, since there is no time to detect it."""
        self.heard = heard
        self._language = "zh" if language_of(over) == MANDARIN else "en"
        self._look = None
        self._next_look_ms = max(100, interrupt_ms - _LOOK_AHEAD_MS)

    def end(self) -> None:
        """The speech has ended or become a turn."""
        self.heard = None

    def interrupts(self, ears: Ears, interrupt_ms: int, sound: Callable[[int], np.ndarray]) -> bool:
        """Whether it is an interruption by now.

        Args:
            ears: its voice activity events.
            interrupt_ms: minimum duration.
            sound: returns the samples from an index on.
        """
        if self.heard is None:
            return False
        # Total, not voiced, duration: the closure of a "stop" is speech too.
        needed = interrupt_ms - FRAME_MS / 2  # it is measured in whole frames
        long_enough = ears.lasted_ms >= needed and ears.voiced_ms >= _MOSTLY * needed
        if self._glances is None or ears.lasted_ms >= _LONGEST_MS:
            return long_enough
        if self._look is None and ears.lasted_ms >= self._next_look_ms:
            self._next_look_ms = ears.lasted_ms + _NEXT_LOOK_MS
            self._look = self._glances.glance(sound(self.heard.at), self._language)
        if self._look is None or not self._look.done() or not long_enough:
            return False
        failed = self._look.cancelled() or self._look.exception() is not None
        if failed or not is_assent(self._look.result()):
            return True
        self._look = None
        return False


def is_assent(text: str) -> bool:
    """Whether words, possibly misrecognised, are only a backchannel."""
    words = re.findall(rf"[a-z']+|[{HAN_LETTERS}]", text.lower().replace("-", " "))
    return all(word in _ASSENT or _HUM.match(word) for word in words)
