"""A reply while it is being spoken, as its listener sees it."""

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
from models.reply_work import ReplyWork, Speaks
from models.speak_options import SpeakOptions
from models.text import check_scripts, normalise
from models.voice import Voice


class SpeaksTurns(Speaks, Protocol):
    """Who speaks a reply and keeps its dialogue."""

    def commit(self, dialogue: DialogueState, reply: "Reply", played_s: float | None) -> None: ...


class Reply:
    """An iterator over chunks of samples, float32 `[n]` at 24 kHz, whole frames but for the last.

    The speaker's engine runs it (`models.engine`) until everything was spoken, `cancel` is called,
    or nobody holds the reply any more.
    """

    def __init__(
        self,
        speaker: "SpeaksTurns",
        dialogue: DialogueState,
        text: str | Iterable[str],
        voice: Voice,
        options: SpeakOptions,
    ) -> None:
        self._speaker, self._dialogue = speaker, dialogue
        self._given: list[np.ndarray] = []
        self.work = ReplyWork(speaker, dialogue, text, voice, options)
        # Weakly: whoever writes the text may hold this reply, and the work holds the text.
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
        """What is spoken, as far as it is known."""
        return self.work.text

    @property
    def words(self) -> list[Word]:
        """(word, start, end) in seconds from the first sample. A word is there before its sound
        is; the end of the last one moves on while it is being spoken."""
        return [(timed.word, timed.start, timed.end) for timed in self.work.words]

    @property
    def timed_words(self) -> list[TimedWord]:
        """The same with the phones of each word."""
        return list(self.work.words)

    @property
    def retries(self) -> int:
        """Sentences that were begun again because their pointer stood still or ran away."""
        return self.work.retries

    @property
    def seed(self) -> int:
        return self.work.seed

    @property
    def num_units(self) -> int:
        """Phonemes and punctuation marks read so far: what the predictor takes in."""
        return self.work.num_units

    @property
    def first_audio_ms(self) -> float | None:
        """From the call of `speak` to the first chunk."""
        return self.work.slot.first_audio_ms

    @property
    def complete(self) -> bool:
        """Whether everything was spoken."""
        return self.work.slot.complete

    @property
    def duration_s(self) -> float:
        """Seconds given so far."""
        return sum(len(chunk) for chunk in self._given) / SAMPLE_RATE

    @property
    def rtf(self) -> float | None:
        """Seconds that the work took for a second of sound, once it is done."""
        busy_s = self.work.slot.busy_s
        return busy_s / self.duration_s if busy_s and self._given else None

    def samples(self) -> np.ndarray:
        """What has been given so far, `[T]`."""
        return np.concatenate(self._given) if self._given else np.zeros(0, np.float32)

    def cancel(self) -> None:
        """Stops the reply; the iteration ends. Never waits, and may be called from any thread and
        more than once. Its slot is free at once, or after the step that it takes part in."""
        self.work.cancel()

    def commit(self, played_s: float | None = None) -> None:
        """The turn enters the dialogue as it was heard.

        Args:
            played_s: how much of it was played, in seconds; text and sound are cut there. None: all
                that was given.
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
    """Valid text of a length and a script that can be spoken at once, with controls that can be
    followed on top of `delivery`; raises InputError.

    `languages` are those that the voices speak.
    """
    check_controls(text, delivery)
    plain = without_controls(text)
    check_scripts(plain, languages)
    if not normalise(plain, None):
        raise InputError(
            "there is nothing to speak in the text: give words, not only signs or emoji"
        )
    return limited_text(text, MAX_SPOKEN)
