"""The agent's turn from the request to the end of its playing."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.answering import Answer
from app.listening import Listening
from app.metrics import Metrics
from app.playback import Playback
from app.tools import ToolCall
from data.audio import SAMPLE_RATE

DUCK_GAIN = 0.25
FADE_MS = 20
_LEAD_S = 2.5  # sound sent ahead of the listener
_FIRST_S = 0.06  # less than that the page does not begin to play
_START_S = 0.2  # for each other answer in the making, so much more must be there before it begins
_STOP_REPORT_S = 0.4  # the page has so long to say where it stopped


@dataclass(frozen=True)
class Sound:
    """Samples [n], float32, of a reply; `start` counts from its first sample."""

    reply: int
    start: int
    samples: np.ndarray


Emitted = dict[str, Any] | Sound
Emit = Callable[[Emitted], None]


class Speaking:
    """One reply on its way to the listener.

    Attributes:
        turn: its number in the conversation.
        voice: the name of the voice that speaks it.
        replied_to: the user's spoken turn, or None after a typed one.
        stop_by: when cut, the time until which the page's report is awaited.
        calls: of functions, that the listener was told of, each with its number in the
            conversation.
        timings: measured milliseconds: the parts of the wait for the first sound, one after the
            other (silence, recognition, words, speech).
    """

    def __init__(
        self,
        answer: Answer,
        turn: int,
        voice: str,
        replied_to: Listening | None,
        emit: Emit,
        metrics: Metrics,
    ) -> None:
        self.answer, self.turn, self.voice, self.replied_to = answer, turn, voice, replied_to
        self.playback = Playback()
        self.stop_by: float | None = None
        self.calls: list[tuple[int, ToolCall]] = []
        self.timings: dict[str, float] = {}
        self._emit, self._metrics = emit, metrics
        metrics.answers.add(answer)
        self._shown = ""
        self._num_words = 0  # whose times the listener knows
        self._ducked = False
        self._reason = "interrupted"

    def tell_calls(self, number: Callable[[], int]) -> bool:
        """Tells, once, which functions are to be called; `number` gives each call its own."""
        if self.calls or not self.answer.calls:
            return False
        self._tell_text()  # which comes first, and is whole
        self.calls = [(number(), call) for call in self.answer.calls]
        self._tell("reply.calls", calls=[{"turn": at, **asdict(call)} for at, call in self.calls])
        return True

    def _tell_text(self) -> None:
        if self.answer.text != self._shown:
            self._shown = self.answer.text
            self._tell("reply.text", text=self._shown)

    def tick(self, now: float) -> bool:
        """Sends what is due; True when the reply is over and can be settled."""
        answer, playback = self.answer, self.playback
        if self.stop_by is not None:
            return now >= self.stop_by
        done = answer.done  # read before the text, which is whole then
        self._tell_text()
        self._send(now)
        self._time_words()
        if done and not answer.waiting and not playback.complete:
            playback.complete = True
            self._sent()
        return playback.complete and (playback.over(now) or not playback.begun)

    def duck(self) -> None:
        """Speech over the agent: it becomes quieter."""
        if self.playback.begun and not self._ducked:
            self._ducked = True
            self._tell("duck", gain=DUCK_GAIN)

    def restore(self) -> None:
        """It was nothing."""
        if self._ducked:
            self._ducked = False
            self._metrics.interruptions.labels("restored").inc()
            self._tell("restore")

    def cut(self, reason: str, now: float) -> bool:
        """Ends it here; True when there is nothing to wait for, since nothing was sent."""
        self.answer.cancel()
        self._reason = reason
        self.stop_by = now + _STOP_REPORT_S
        if self.playback.begun or (self.answer.silent and self.answer.text):
            self._tell("stop", fade_ms=FADE_MS, reason=reason)
        return not self.playback.begun

    def num_heard(self, now: float) -> int:
        """Samples that the listener has heard of a reply that ends here, as far as is known."""
        reported = self.playback.reported
        return self.playback.position(now) if reported is None else reported

    def dropped(self) -> None:
        """Tells the listener that nothing of it was heard."""
        self._tell("reply.dropped", turn=self.turn, reason=self._reason)

    def _send(self, now: float) -> None:
        playback, answer = self.playback, self.answer
        if not playback.begun and not answer.done:
            others = self._metrics.in_the_making() - 1
            if answer.num_samples < max(_FIRST_S, others * _START_S) * SAMPLE_RATE:
                return
        while playback.lead_s(now) < _LEAD_S:
            samples = answer.take()
            if samples is None:
                return
            if not playback.begun:
                self._first_sound(now)
            late, start = playback.late, playback.sent
            playback.send(len(samples), now)
            if playback.late > late:
                self._metrics.underruns.labels("server").inc()
            self._emit(Sound(answer.number, start, samples))

    def _time_words(self) -> None:
        """Tells when words sound, so that they can be followed; the last one's end still moves."""
        if not self.playback.begun:
            return
        words = self.answer.words
        ripe = words[self._num_words : len(words) if self.answer.done else len(words) - 1]
        if ripe:
            self._num_words += len(ripe)
            self._tell("reply.words", words=[list(word) for word in ripe])

    def _first_sound(self, now: float) -> None:
        answer, turn = self.answer, self.replied_to
        if turn is not None:
            self.timings.update(turn.timings)
        if answer.text_at is not None:
            self.timings["words_ms"] = 1000 * (answer.text_at - answer.asked_at)
            self.timings["speech_ms"] = 1000 * (now - answer.text_at)
            self._metrics.llm.observe(answer.text_at - answer.asked_at)

    def _sent(self) -> None:
        answer = self.answer
        if answer.num_samples:
            self._metrics.rtf.observe(answer.busy_s * SAMPLE_RATE / answer.num_samples)
        words = [[word, start, end] for word, start, end in answer.words]
        how: dict[str, Any] = {"incomplete": True} if answer.shortened else {}
        if answer.error:
            how["error"] = answer.error
        self._tell("reply.sent", samples=self.playback.sent, words=words, **how)

    def _tell(self, kind: str, **fields: Any) -> None:
        self._emit({"type": kind, "reply": self.answer.number, **fields})
