"""The user's turn while it is being spoken, and between its end and its text."""

from concurrent.futures import Future

import numpy as np

from app.hearing import Memory
from data.audio import SAMPLE_RATE
from data.errors import RepError
from data.recognition.recognizer import FailedUtterance, Names, Recognizer, Utterance

_TAIL_MS = 150  # of silence kept behind a turn
_LONGEST_STRETCH = 25 * SAMPLE_RATE  # that is heard again as a whole after a pause


class Listening:
    """One turn of the user. Its text is recognised in stretches, each as soon as a pause comes.

    A recogniser that `rehears` is given the stretch from its start once more when it goes on after
    a pause, and what it had made of the first part is dropped.

    Attributes:
        number: the turn's.
        start, end: in samples of the user's stream.
        voiced_ms: of it, what was said before it was reopened included.
        ended_at: clock reading of its end, or None while it may go on.
        committed: whether its end was said, and not heard.
        asks: whether its end may ask for an answer.
        full: whether it holds as much sound as a turn may have.
        wordless: whether it is answered by its sound, and no words are asked for.
        judgement: of its sound, on its way: the probability that this pause is its end.
        judged: what was judged of this pause so far.
        shown: the partial text that the page has.
        timings: measured milliseconds, from the end of speech on.
    """

    def __init__(
        self,
        number: int,
        start: int,
        recognizer: Recognizer,
        memory: Memory,
        names: Names = (),
        language: str = "",
    ) -> None:
        self.number, self.start = number, start
        self.end = start
        self.voiced_ms = 0
        self.ended_at: float | None = None
        self.committed = self.full = False
        self.asks = True
        self.wordless = False
        self.judgement: Future[float] | None = None
        self.judged: list[float] = []
        self.shown = ""
        self.timings: dict[str, float] = {}
        self._recognizer, self._memory, self._names = recognizer, memory, names
        self._language = language or None
        self._fed = self._stretch_start = start
        self._voiced_before_ms = 0  # it was reopened
        self._sound: np.ndarray | None = None
        self._utterance: Utterance | None = None
        self._finished: list[Utterance] = []
        self._shown_before = ""  # of a stretch that is heard again, until there is more
        self._texts: list[Future[str]] = []

    def voiced(self, voiced_ms: int) -> None:
        """Takes how much of what was said since it began, or was reopened, is voiced."""
        self.voiced_ms = self._voiced_before_ms + voiced_ms

    def reopen(self) -> None:
        """It had ended and goes on after all."""
        self.ended_at = None
        self._voiced_before_ms = self.voiced_ms

    def feed(self, until: int) -> None:
        """Gives the recogniser what it has not heard."""
        if self._utterance is None:
            self._begin_stretch(until)
            try:
                self._utterance = self._recognizer.open(self._language, names=self._names)
            except RepError as error:
                self._utterance = FailedUtterance(error)
        self._utterance.push(self._memory.read(self._fed))
        self._fed = until

    def _begin_stretch(self, until: int) -> None:
        if not self._recognizer.rehears or until - self._stretch_start > _LONGEST_STRETCH:
            self._stretch_start = self._fed
        elif self._finished and self._fed > self._stretch_start:
            self._shown_before = self.partial
            self._finished.pop().abort()
            self._texts.pop()
            self._fed = self._stretch_start

    def pause(self, at: int, until: int) -> None:
        """Recognises what was said so far; if the turn ends here, its text is early."""
        self.end = at
        if self._utterance is not None:
            self.feed(until)
            self._texts.append(self._utterance.finish())
            self._finished.append(self._utterance)
            self._utterance = None

    def commit(self, at: int, now: float) -> None:
        """Ends the turn with the last sample `at`, whatever was voiced of it."""
        self.pause(at, at)
        self.ended_at, self.committed = now, True
        self._sound = self._memory.read(self.start, at)  # more may come before its text is there

    def abort(self) -> None:
        """The text is not wanted, of no stretch."""
        for utterance in self._finished:
            utterance.abort()
        if self._utterance is not None:
            self._utterance.abort()

    @property
    def partial(self) -> str:
        """The words so far."""
        known = [one.result() for one in self._texts if one.done() and not one.exception()]
        if self._utterance is not None:
            known.append(self._utterance.partial)
        text = " ".join(word for word in known if word)
        return max(text, self._shown_before, key=len)

    @property
    def recognised(self) -> bool:
        """Whether the turn has ended and all of its text is there."""
        return self.ended_at is not None and not self.words_awaited

    @property
    def words_awaited(self) -> bool:
        """Whether a stretch that a pause has ended is being recognised."""
        return not all(one.done() for one in self._texts)

    @property
    def error(self) -> BaseException | None:
        """Why a stretch could not be recognised."""
        return next(
            (one.exception() for one in self._texts if one.done() and one.exception()), None
        )

    def samples(self) -> np.ndarray:
        """The turn's sound [T]; of one that was heard to end, with a little silence around it."""
        if self._sound is not None:
            return self._sound
        return self._memory.read(self.start, self.end + _TAIL_MS * SAMPLE_RATE // 1000)
