"""The user's turn from its first sample to its transcript."""

from concurrent.futures import Future

import numpy as np

from app.endpointing import RingBuffer
from data.audio import SAMPLE_RATE
from data.errors import RepError
from data.recognition.recognizer import FailedUtterance, Names, Recognizer, Utterance

TAIL_MS = 150  # of silence kept behind a turn
_MAX_SEGMENT = 25 * SAMPLE_RATE  # longest segment that is recognised again as a whole after a pause


class TurnRecognition:
    """One user turn, recognised in segments, each as soon as a pause comes.

    A recogniser that `needs_whole_turn` receives the segment from its start again when the user
    continues after a pause, and its earlier transcript is dropped.

    Attributes:
        number: the turn's number.
        start, end: sample indices in the user's stream.
        voiced_ms: voiced audio, including that before it was reopened.
        ended_at: clock time of its end, or None while it may continue.
        committed: whether the client, not voice activity, ended it.
        asks: whether its end may request an answer.
        full: whether it has reached the maximum length.
        wordless: whether its audio is answered without a transcript.
        judgement: pending probability that this pause is the end of the turn.
        judged: judgements of this pause so far.
        expected: whether the agent has the turn as it is in this pause.
        shown: the interim transcript that the page has.
        timings: latencies in ms, from the end of speech on.
    """

    def __init__(
        self,
        number: int,
        start: int,
        recognizer: Recognizer,
        memory: RingBuffer,
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
        self.expected = False
        self.shown = ""
        self.timings: dict[str, float] = {}
        self._recognizer, self._memory, self._names = recognizer, memory, names
        self._language = language or None
        self._fed = self._segment_start = start
        self._voiced_before_ms = 0  # before it was reopened
        self._sound: np.ndarray | None = None
        self._utterance: Utterance | None = None
        self._finished: list[Utterance] = []
        self._shown_before = ""  # of a segment being recognised again, until there is more
        self._texts: list[Future[str]] = []

    def voiced(self, voiced_ms: int) -> None:
        """Updates the voiced audio since it began or was reopened."""
        self.voiced_ms = self._voiced_before_ms + voiced_ms

    def reopen(self) -> None:
        """Reopens the ended turn."""
        self.ended_at = None
        self._voiced_before_ms = self.voiced_ms

    def feed(self, until: int) -> None:
        """Passes new audio to the recogniser."""
        if self._utterance is None:
            self._begin_segment(until)
            try:
                self._utterance = self._recognizer.open(self._language, names=self._names)
            except RepError as error:
                self._utterance = FailedUtterance(error)
        self._utterance.push(self._memory.read(self._fed))
        self._fed = until

    def _begin_segment(self, until: int) -> None:
        if not self._recognizer.needs_whole_turn or until - self._segment_start > _MAX_SEGMENT:
            self._segment_start = self._fed
        elif self._finished and self._fed > self._segment_start:
            self._shown_before = self.partial
            self._finished.pop().abort()
            self._texts.pop()
            self._fed = self._segment_start

    def pause(self, at: int, until: int) -> None:
        """Recognises the turn so far; if it ends here, its text is available early."""
        self.end = at
        if self._utterance is not None:
            self.feed(until)
            self._texts.append(self._utterance.finish())
            self._finished.append(self._utterance)
            self._utterance = None

    def commit(self, at: int, now: float) -> None:
        """Ends the turn at sample `at`, regardless of voice activity."""
        self.pause(at, at)
        self.ended_at, self.committed = now, True
        self._sound = self._memory.read(self.start, at)  # before the ring overwrites it

    def abort(self) -> None:
        """Cancels recognition of all segments."""
        for utterance in self._finished:
            utterance.abort()
        if self._utterance is not None:
            self._utterance.abort()

    @property
    def partial(self) -> str:
        """The interim transcript."""
        known = [one.result() for one in self._texts if one.done() and not one.exception()]
        if self._utterance is not None:
            known.append(self._utterance.partial)
        text = " ".join(word for word in known if word)
        return max(text, self._shown_before, key=len)

    @property
    def draft(self) -> str:
        """The transcript, or what first looks give of it; empty until every finished segment has
        one."""
        if not self.words_awaited:
            return self.partial
        pairs = zip(self._finished, self._texts, strict=True)
        known = [
            one.draft if not text.done() else "" if text.exception() else text.result()
            for one, text in pairs
        ]
        return " ".join(known) if all(known) else ""

    @property
    def recognised(self) -> bool:
        """Whether the turn has ended and its text is complete."""
        return self.ended_at is not None and not self.words_awaited

    @property
    def words_awaited(self) -> bool:
        """Whether a finished segment is being recognised."""
        return not all(one.done() for one in self._texts)

    @property
    def error(self) -> BaseException | None:
        """Why recognition of a segment failed."""
        return next(
            (one.exception() for one in self._texts if one.done() and one.exception()), None
        )

    def samples(self) -> np.ndarray:
        """The turn's samples [T], with a little silence around them unless it was committed."""
        if self._sound is not None:
            return self._sound
        return self._memory.read(self.start, self.end + TAIL_MS * SAMPLE_RATE // 1000)
