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
    objects_at_length,
)
from app.endpointing import Endpointer, SpeechEvent, SpeechEventKind
from app.voice_activity import FRAME_MS
from data.audio import SAMPLE_RATE
from data.recognition.recognizer import Hypothesis
from models.text import language_of
from models.text.frontend import MANDARIN

_VOICED_SHARE = 0.6  # minimum voiced share of an interruption
_SOONER_MS = 40  # the agent pauses this long before speech may interrupt: a pause can be undone
_RECOGNITION_MS = 110  # maximum duration of a partial recognition on an idle machine
_NEXT_AFTER_MS = 250
_CLEAR_MS = 600  # from which a partial recognition is trusted before the pause
_BRIEF_MS = 800  # no time for more than a word behind a backchannel
_HUM_MS = 1200  # up to which what is not recognised with confidence is a hum
_SURE = 0.56  # confidence; that of Whisper's words for a hum is mostly lower
_SURE_OBJECTION = 0.45  # in an objection of several words, which no hum is taken for
_WORD_MS = 450  # from which a partial recognition covers more than the onset of a hum
_FRAGMENT_MS = 350  # less sounds like a hum whatever it is
_SURE_FRAGMENT = 0.65  # confidence in a backchannel of which no more was heard
_SHORTEST_MS = 120  # voiced, of a word
_SILENCE_MS = 160  # longer than the closure of a "stop"
_LONGEST_MS = 1800  # no backchannel is that long
_FAILED = Hypothesis("unknown", 1.0)  # of a failed recognition: counts as words


@runtime_checkable
class QuickRecognizer(Protocol):
    """A recogniser that can quickly transcribe a few words."""

    def recognise_quickly(
        self, samples: np.ndarray, language: str, whole: bool
    ) -> "Future[Hypothesis]":
        """The words of samples [T] at 24 kHz; empty where it is not sure. Never blocks.

        Args:
            samples: the beginning of an utterance.
            language: "en" or "zh"; overridden by a recogniser's fixed language.
            whole: whether it is all of the utterance; else speed counts more than accuracy.
        """
        ...


class Verdict(Enum):
    """What speech over the agent is."""

    UNDECIDED = "undecided"
    BACKCHANNEL = "backchannel"  # or a noise
    INTERRUPTION = "interruption"


class BargeInClassifier:
    """Classifies the user's speech over the agent.

    Args:
        recognizer: the session's; without `recognise_quickly` any speech interrupts.

    Attributes:
        start: its start; None while nobody speaks over the agent.
        pause: its pause or end; None while it continues.
        silence: the same, without pauses so short that they may be within a word.
    """

    def __init__(self, recognizer: object) -> None:
        self._recognizer = recognizer if isinstance(recognizer, QuickRecognizer) else None
        self._interrupt_ms, self._language = 0, "en"
        self.end()

    def begin(self, event: SpeechEvent, interrupt_ms: int, over: str) -> None:
        """Speech has started over an answer; after `interrupt_ms` it may interrupt. Its language is
        assumed to be the answer's, since there is no time to detect it."""
        self.end()
        self.start = event
        self._interrupt_ms = interrupt_ms
        self._language = "zh" if language_of(over) == MANDARIN else "en"
        self._next_at_ms = max(100.0, interrupt_ms - _RECOGNITION_MS)

    def note(self, event: SpeechEvent) -> None:
        """The speech has paused, ended or resumed."""
        self.pause = None if event.kind is SpeechEventKind.RESUMED else event
        self.silence = event if event.kind is SpeechEventKind.ENDED else None
        self._whole = False

    def settle(self, endpointer: Endpointer) -> None:
        """Takes the pause for silence once it is long enough."""
        pause, needed = self.pause, _SILENCE_MS * SAMPLE_RATE // 1000
        if pause is not None and endpointer.num_samples - pause.at >= needed:
            self.silence = pause

    def end(self) -> None:
        """Clears everything; the speech has been classified."""
        self.start: SpeechEvent | None = None
        self.pause: SpeechEvent | None = None
        self.silence: SpeechEvent | None = None
        self._pending: Future[Hypothesis] | None = None
        self._whole = False  # whether the pending recognition covers all speech up to the silence
        self._hypothesis: Hypothesis | None = None  # the latest
        self._had_words = False  # whether a partial hypothesis was confident of words
        self._requested_ms = self._covered_ms = 0.0  # speech in the pending and the latest one
        self._next_at_ms = 0.0

    def judge(
        self, endpointer: Endpointer, sound: Callable[[int], np.ndarray], hastily: bool
    ) -> Verdict:
        """Classifies the speech so far.

        Args:
            endpointer: its voice activity events.
            sound: returns the samples from an index on.
            hastily: whether to decide by the first hypothesis, for a client that cannot pause.
        """
        if self.start is None:
            return Verdict.UNDECIDED
        if self.silence is not None and self._durations_ms(endpointer)[1] < _SHORTEST_MS:
            return Verdict.BACKCHANNEL
        if self._recognizer is None:
            if self._long_enough(endpointer):
                return Verdict.INTERRUPTION
            return Verdict.UNDECIDED if self.silence is None else Verdict.BACKCHANNEL
        lasted_ms, _ = self._durations_ms(endpointer)
        if lasted_ms >= _LONGEST_MS and self._long_enough(endpointer):
            return Verdict.INTERRUPTION
        self._recognise(self._recognizer, self.start, lasted_ms, sound)
        if self._pending is not None or self._hypothesis is None:
            return Verdict.UNDECIDED
        if self._whole:
            nothing = self._is_backchannel(self._hypothesis, lasted_ms)
            return Verdict.BACKCHANNEL if nothing else Verdict.INTERRUPTION
        sure = self._hypothesis.confidence >= _SURE
        clear = sure and is_sentence(self._hypothesis.text) and lasted_ms >= _CLEAR_MS
        hasty = hastily and not is_backchannel(self._hypothesis.text)
        interrupts = (clear or hasty) and self._long_enough(endpointer)
        return Verdict.INTERRUPTION if interrupts else Verdict.UNDECIDED

    def should_pause(self, endpointer: Endpointer) -> bool:
        """Whether the agent should pause until the verdict."""
        if self._recognizer is None:
            return False  # its length alone decides
        long_enough = self._long_enough(endpointer, sooner_ms=_SOONER_MS)
        if not long_enough or self._hypothesis is None:
            return long_enough
        text, confidence = self._hypothesis
        if self._covered_ms < _FRAGMENT_MS:
            return confidence < _SURE_FRAGMENT or not is_clear_backchannel(text)
        return not (text and is_backchannel(text))

    def _is_backchannel(self, hypothesis: Hypothesis, lasted_ms: float) -> bool:
        """Whether a whole utterance is a backchannel or a hum. Whisper writes a hum as words, but
        without confidence, and as other words than of its beginning."""
        if not hypothesis.text:
            return not self._had_words  # Whisper often loses what it had understood of a part
        brief = begins_with_backchannel if lasted_ms < _BRIEF_MS else is_backchannel
        hummed = hypothesis.confidence < _SURE and lasted_ms < _HUM_MS and not self._had_words
        return hummed or brief(hypothesis.text)

    def _has_words(self, hypothesis: Hypothesis) -> bool:
        """Whether a partial hypothesis has words that are not of a hum."""
        needed = _SURE_OBJECTION if objects_at_length(hypothesis.text) else _SURE
        if hypothesis.confidence < needed:
            return False
        is_more = not begins_with_backchannel(hypothesis.text) and self._covered_ms >= _WORD_MS
        return is_more or objects(hypothesis.text)

    def _recognise(
        self,
        recognizer: QuickRecognizer,
        event: SpeechEvent,
        lasted_ms: float,
        sound: Callable[[int], np.ndarray],
    ) -> None:
        """Takes a finished hypothesis and requests the next."""
        if self._pending is not None and self._pending.done():
            failed = self._pending.cancelled() or self._pending.exception() is not None
            self._hypothesis = _FAILED if failed else self._pending.result()
            self._pending, self._covered_ms = None, self._requested_ms
            self._had_words |= not self._whole and self._has_words(self._hypothesis)
        if self.silence is not None and not self._whole:
            self._pending = recognizer.recognise_quickly(sound(event.at), self._language, True)
            self._whole = True
        elif self.silence is None and self._pending is None and lasted_ms >= self._next_at_ms:
            self._requested_ms, self._next_at_ms = lasted_ms, lasted_ms + _NEXT_AFTER_MS
            self._pending = recognizer.recognise_quickly(sound(event.at), self._language, False)

    def _long_enough(self, endpointer: Endpointer, sooner_ms: float = 0.0) -> bool:
        lasted_ms, voiced_ms = self._durations_ms(endpointer)
        # Total, not voiced, duration: the closure of a "stop" is speech too.
        needed = self._interrupt_ms - sooner_ms - FRAME_MS / 2  # it is measured in whole frames
        return lasted_ms >= needed and voiced_ms >= _VOICED_SHARE * needed

    def _durations_ms(self, endpointer: Endpointer) -> tuple[float, float]:
        """Total and voiced duration of the speech, ms."""
        if self.start is None:
            return 0.0, 0.0
        until, voiced_ms = endpointer.voiced_until, endpointer.voiced_ms
        if self.silence is not None:
            until, voiced_ms = self.silence.at, self.silence.voiced_ms
        return (until - self.start.at) * 1000 / SAMPLE_RATE, voiced_ms
