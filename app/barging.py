"""Speech over the agent: an interruption, or a sound of assent, a cough, a laugh?

It lasts long enough for a word, and then a quick look of the recogniser says whether it is one. A
sound of assent ("mm-hm", "yeah", "right") may become a sentence, so it is looked at again.
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

_MOSTLY = 0.6  # of speech that interrupts is voiced
_LOOK_AHEAD_MS = 110  # what a look takes, at most, on an idle machine
_NEXT_LOOK_MS = 350
_LONGEST_MS = 1800  # nobody assents as long as that
_ASSENT = frozenset(
    "yes yeah yep yup yah ya right okay ok sure oh ah aha uh huh hm hmm mm mmm mhm mmhm mhmm um "
    "wow really true exactly good great nice cool fine see i ha haha hahaha hehe "
    "嗯 哦 噢 啊 对 是 好 的 嗯嗯 对对 是的 好的 行 哈".split()
)
# What Whisper makes of a hum.
_HUM = re.compile(
    r"^(?:m+|h+|[mh]+[aeiuoy]?m*[mh]*[iy]?|ah*|uh*|[aeu]|el|else|elsa|amen|amy|mommy|[嗯哈啊哦呃]+)$"
)


@runtime_checkable
class Glances(Protocol):
    """A recogniser that can say at once with what a short sound begins."""

    def glance(self, samples: np.ndarray, language: str) -> "Future[str]":
        """The first words of samples [T] at 24 kHz; may be wrong. Never waits.

        Args:
            samples: the beginning of what is said.
            language: "en" or "zh", in which it is heard; a recogniser that is set to one heeds it.
        """
        ...


class Barging:
    """What is being said over the agent.

    Args:
        recognizer: the session's; one that cannot glance lets any speech interrupt.

    Attributes:
        heard: its beginning; None while nothing is said.
    """

    def __init__(self, recognizer: object) -> None:
        self.heard: Heard | None = None
        self._glances = recognizer if isinstance(recognizer, Glances) else None
        self._look: Future[str] | None = None
        self._next_look_ms = 0.0
        self._language = "en"

    def begin(self, heard: Heard, interrupt_ms: int, over: str) -> None:
        """Speech has begun over an answer; after `interrupt_ms` it may interrupt. It is probably in
        the language of what it answers, and there is no time to find out."""
        self.heard = heard
        self._language = "zh" if language_of(over) == MANDARIN else "en"
        self._look = None
        self._next_look_ms = max(100, interrupt_ms - _LOOK_AHEAD_MS)

    def end(self) -> None:
        """It is over, or has become a turn."""
        self.heard = None

    def interrupts(self, ears: Ears, interrupt_ms: int, sound: Callable[[int], np.ndarray]) -> bool:
        """Whether it is an interruption by now.

        Args:
            ears: that hear it.
            interrupt_ms: what it must last.
            sound: gives the samples from a number on.
        """
        if self.heard is None:
            return False
        # How long it lasts, not how much of it is voiced: the closure of a "stop" is speech too.
        needed = interrupt_ms - FRAME_MS / 2  # it is known in whole frames
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
    """Whether words, perhaps wrongly recognised, say no more than that somebody listens."""
    words = re.findall(rf"[a-z']+|[{HAN_LETTERS}]", text.lower().replace("-", " "))
    return all(word in _ASSENT or _HUM.match(word) for word in words)
