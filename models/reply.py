"""A reply being spoken, as its consumer sees it."""

import weakref
from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

import numpy as np

from data.errors import InputError
from data.limits import MAX_SPOKEN, limited_text
from models.delivery.controls import check_controls, without_controls
from models.delivery.delivery import Delivery
from models.dialogue_state import DialogueState
from models.mel import SAMPLE_RATE
from models.pipe import ClosedError
from models.reply_times import TimedWord, Word
from models.reply_work import ReplySpeaker, ReplyWork
from models.speak_options import SpeakOptions
from models.text import check_scripts, normalise
from models.voice import Voice


class TurnSpeaker(ReplySpeaker, Protocol):
    """Speaks replies and owns their dialogues."""

    def commit(self, dialogue: DialogueState, reply: "Reply", played_s: float | None) -> None: ...


class Reply:
    """An iterator over chunks of samples, float32 `[n]` at 24 kHz, in whole frames except the last.

    The engine (`models.engine`) runs it until it is complete, `cancel` is called, or the reply is
    garbage-collected.
    """

    def __init__(
        self,
        speaker: "TurnSpeaker",
        dialogue: DialogueState,
        text: str | Iterable[str],
        voice: Voice,
        options: SpeakOptions,
    ) -> None:
        self._speaker, self._dialogue = speaker, dialogue
        self._given: list[np.ndarray] = []
        self.work = ReplyWork(speaker, dialogue, text, voice, options)
        # Weak: the text's producer may hold this reply, and the work holds the text.
        weakref.finalize(self, _call_off, weakref.ref(self.work))

    def __iter__(self) -> Iterator[np.ndarray]:
        work = self.work
        try:
            while (chunk := work.next_chunk()) is not None:
                self._given.append(chunk)
                yield chunk
        except ClosedError:
            if work.slot.error is not None and not work.slot.cancelled:
                raise work.slot.error from None

    @property
    def text(self) -> str:
        """The text being spoken, as far as known."""
        return self.work.text

    @property
    def words(self) -> list[Word]:
        """(word, start, end) in seconds from the first sample. A word is known before its audio is;
        the end of the last one moves while it is being spoken."""
        return [(timed.word, timed.start, timed.end) for timed in self.work.words]

    @property
    def timed_words(self) -> list[TimedWord]:
        """The words with the times of their phones."""
        return list(self.work.words)

    @property
    def retries(self) -> int:
        """Number of sentences restarted because their pointer stalled or raced."""
        return self.work.retries

    @property
    def seed(self) -> int:
        return self.work.seed

    @property
    def num_units(self) -> int:
        """Phonemes and punctuation marks read so far, the predictor's text input."""
        return self.work.num_units

    @property
    def first_audio_ms(self) -> float | None:
        """Time from the call of `speak` to the first chunk."""
        return self.work.slot.first_audio_ms

    @property
    def complete(self) -> bool:
        """Whether the whole text was spoken."""
        return self.work.slot.complete

    @property
    def duration_s(self) -> float:
        """Seconds of audio delivered so far."""
        return sum(len(chunk) for chunk in self._given) / SAMPLE_RATE

    @property
    def rtf(self) -> float | None:
        """Real-time factor: compute time per second of audio; None before the end."""
        busy_s = self.work.slot.busy_s
        return busy_s / self.duration_s if busy_s and self._given else None

    def samples(self) -> np.ndarray:
        """The audio delivered so far, `[T]`."""
        return np.concatenate(self._given) if self._given else np.zeros(0, np.float32)

    def cancel(self) -> None:
        """Stops the reply; iteration ends. Never blocks; may be called from any thread and
        repeatedly. Its slot is free at once, or after the step it takes part in."""
        self.work.cancel()

    def commit(self, played_s: float | None = None) -> None:
        """Adds the turn to the dialogue as far as it was heard.

        Args:
            played_s: seconds played, where text and audio are cut; None: everything delivered.
        """
        known = self._dialogue.open_reply
        if known is None or known() is not self.work:
            return
        if not self.complete or played_s is not None:
            self.work.stop()
        if played_s is not None and self.complete and played_s >= self.duration_s:
            played_s = None
        self._speaker.commit(self._dialogue, self, played_s)


def _call_off(known: "weakref.ref[ReplyWork]") -> None:
    work = known()
    if work is not None:
        work.cancel()


def speakable(text: str, delivery: Delivery, languages: Collection[str]) -> str:
    """Validates a text to speak in full: controls (with `delivery`), script, length; raises
    InputError.

    `languages` are those of the voices.
    """
    check_controls(text, delivery)
    plain = without_controls(text)
    check_scripts(plain, languages)
    if not normalise(plain, None):
        raise InputError(
            "there is nothing to speak in the text: give words, not only signs or emoji"
        )
    return limited_text(text, MAX_SPOKEN)
