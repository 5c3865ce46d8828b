"""Barge-in: is speech over the agent an interruption, or a backchannel, a cough, a laugh?

The first 300 ms of speech rarely tell. Unless they sound like a backchannel ("mm-hm", "yeah"), the
agent pauses; quick partial recognitions as the speech grows, and one of all of it in the pause
behind it, decide whether the agent is interrupted or plays on.
"""

from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np

from app.backchannels import (
    begins_with_backchannel,
    is_backchannel,
    is_clear_backchannel,
    is_sentence,
    objects,
)
from app.hearing import Ears, Heard, Sign
from app.voice_activity import FRAME_MS
from data.audio import SAMPLE_RATE
from data.recognition.recognizer import Glimpse
from models.text import language_of
from models.text.frontend import MANDARIN

_MOSTLY = 0.6  # minimum voiced share of an interruption
_LOOK_AHEAD_MS = 110  # maximum duration of a partial recognition on an idle machine
_NEXT_LOOK_MS = 250
_CLEAR_MS = 600  # from which a partial recognition is trusted before the pause
_BRIEF_MS = 800  # no time for more than a word behind a backchannel
_HUM_MS = 1200  # up to which what is not recognised with confidence is a hum
_SURE = 0.56  # confidence; that of Whisper's words for a hum is mostly lower
_WORD_MS = 450  # from which a partial recognition has seen more than the onset of a hum
_FRAGMENT_MS = 350  # less sounds like a hum whatever it is
_SHORTEST_MS = 120  # voiced, of a word
_LONGEST_MS = 1800  # no backchannel is that long
_FAILED = Glimpse("unknown", 1.0)  # in place of what could not be recognised: counts as words


@runtime_checkable
class Glances(Protocol):
    """A recogniser that can quickly transcribe a few words."""

    def glance(self, samples: np.ndarray, language: str, whole: bool) -> "Future[Glimpse]":
        """The words of samples [T] at 24 kHz; empty where it is not sure. Never blocks.

        Args:
            samples: the beginning of an utterance.
            language: "en" or "zh"; overridden by a recogniser's fixed language.
            whole: whether it is all of the utterance; else speed counts more than accuracy.
        """
        ...


class Verdict(Enum):
    """What the speech over the agent is."""

    OPEN = "open"  # not decided
    NOTHING = "nothing"  # a backchannel or a noise
    WORDS = "words"  # an interruption


class Barging:
    """The user's speech over the agent.

    Args:
        recognizer: the session's; without `glance` any speech interrupts.

    Attributes:
        heard: its start; None where nobody speaks over the agent.
        silent: its pause or end; None while it goes on.
    """

    def __init__(self, recognizer: object) -> None:
        self._glances = recognizer if isinstance(recognizer, Glances) else None
        self._interrupt_ms, self._language = 0, "en"
        self.end()

    def begin(self, heard: Heard, interrupt_ms: int, over: str) -> None:
        """Speech has started over an answer; after `interrupt_ms` it may interrupt. Its language is
        assumed to be the answer's, since there is no time to detect it."""
        self.end()
        self.heard = heard
        self._interrupt_ms = interrupt_ms
        self._language = "zh" if language_of(over) == MANDARIN else "en"
        self._next_look_ms = max(100.0, interrupt_ms - _LOOK_AHEAD_MS)

    def note(self, heard: Heard) -> None:
        """It has paused, ended or gone on."""
        self.silent = None if heard.sign is Sign.WENT_ON else heard
        self._whole = False

    def end(self) -> None:
        """It is decided."""
        self.heard: Heard | None = None
        self.silent: Heard | None = None
        self._look: Future[Glimpse] | None = None
        self._whole = False  # whether the look is at all of it, up to the pause
        self._seen: Glimpse | None = None  # of the last look
        self._worded = False  # whether a partial look was sure of words
        self._asked_ms = self._seen_ms = 0.0  # speech before the look, and before the last one
        self._next_look_ms = 0.0

    def judge(self, ears: Ears, sound: Callable[[int], np.ndarray], hastily: bool) -> Verdict:
        """What it is.

        Args:
            ears: its voice activity events.
            sound: returns the samples from an index on.
            hastily: whether to decide by the first look, for a listener who cannot pause.
        """
        if self.heard is None:
            return Verdict.OPEN
        if self.silent is not None and self._measured(ears)[1] < _SHORTEST_MS:
            return Verdict.NOTHING
        if self._glances is None:
            if self._long_enough(ears):
                return Verdict.WORDS
            return Verdict.OPEN if self.silent is None else Verdict.NOTHING
        lasted_ms, _ = self._measured(ears)
        if lasted_ms >= _LONGEST_MS and self._long_enough(ears):
            return Verdict.WORDS
        self._look_at(self._glances, self.heard, lasted_ms, sound)
        if self._look is not None or self._seen is None:
            return Verdict.OPEN
        if self._whole:
            return Verdict.NOTHING if self._is_nothing(self._seen, lasted_ms) else Verdict.WORDS
        sure = self._seen.confidence >= _SURE
        clear = sure and is_sentence(self._seen.text) and lasted_ms >= _CLEAR_MS
        hasty = hastily and not is_backchannel(self._seen.text)
        return Verdict.WORDS if (clear or hasty) and self._long_enough(ears) else Verdict.OPEN

    def silences(self, ears: Ears) -> bool:
        """Whether the agent should pause until it is decided."""
        if not self._long_enough(ears) or self._seen is None:
            return self._long_enough(ears)
        text, confidence = self._seen
        if self._seen_ms < _FRAGMENT_MS:
            return confidence < _SURE or not is_clear_backchannel(text)
        return not (text and is_backchannel(text))

    def _is_nothing(self, seen: Glimpse, lasted_ms: float) -> bool:
        """Whether a whole utterance is a backchannel or a hum. Whisper writes a hum as words, but
        without confidence, and as other words than of its beginning."""
        brief = begins_with_backchannel if lasted_ms < _BRIEF_MS else is_backchannel
        hummed = seen.confidence < _SURE and lasted_ms < _HUM_MS and not self._worded
        return hummed or brief(seen.text)

    def _is_worded(self, seen: Glimpse) -> bool:
        """Whether a partial look saw words that are not of a hum."""
        if seen.confidence < _SURE:
            return False
        is_more = not begins_with_backchannel(seen.text) and self._seen_ms >= _WORD_MS
        return is_more or objects(seen.text)

    def _look_at(
        self, glances: Glances, heard: Heard, lasted_ms: float, sound: Callable[[int], np.ndarray]
    ) -> None:
        """Takes what is recognised, and asks for more."""
        if self._look is not None and self._look.done():
            failed = self._look.cancelled() or self._look.exception() is not None
            self._seen = _FAILED if failed else self._look.result()
            self._look, self._seen_ms = None, self._asked_ms
            self._worded |= not self._whole and self._is_worded(self._seen)
        if self.silent is not None and not self._whole:
            self._look = glances.glance(sound(heard.at), self._language, True)
            self._whole = True
        elif self.silent is None and self._look is None and lasted_ms >= self._next_look_ms:
            self._asked_ms, self._next_look_ms = lasted_ms, lasted_ms + _NEXT_LOOK_MS
            self._look = glances.glance(sound(heard.at), self._language, False)

    def _long_enough(self, ears: Ears) -> bool:
        lasted_ms, voiced_ms = self._measured(ears)
        # Total, not voiced, duration: the closure of a "stop" is speech too.
        needed = self._interrupt_ms - FRAME_MS / 2  # it is measured in whole frames
        return lasted_ms >= needed and voiced_ms >= _MOSTLY * needed

    def _measured(self, ears: Ears) -> tuple[float, float]:
        """Its total and its voiced duration, ms."""
        if self.heard is None:
            return 0.0, 0.0
        until, voiced_ms = ears.voiced_until, ears.voiced_ms
        if self.silent is not None:
            until, voiced_ms = self.silent.at, self.silent.voiced_ms
        return (until - self.heard.at) * 1000 / SAMPLE_RATE, voiced_ms
