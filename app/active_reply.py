"""The agent's turn from the request to the end of playback."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from app.answering import Answer
from app.metrics import Metrics
from app.playback import Playback
from app.tools import ToolCall
from app.turn_recognition import TurnRecognition
from data.audio import SAMPLE_RATE

DUCK_GAIN = 0.25
FADE_MS = 20
_LEAD_S = 2.5  # audio sent ahead of playback
_FIRST_S = 0.06  # minimum audio before the page starts playback
_START_S = 0.2  # audio required at the start per concurrent answer
_SESSION_S = 0.1  # and per other session, any of which may ask for an answer at any time
_NEARLY_OVER_S = 0.6
_STOP_REPORT_S = 0.4  # time for the page to report where it stopped


@dataclass(frozen=True)
class AudioChunk:
    """Samples [n], float32, of a reply; `start` is the index of the first."""

    reply: int
    start: int
    samples: np.ndarray


Emitted = dict[str, Any] | AudioChunk
Emit = Callable[[Emitted], None]


class ActiveReply:
    """One reply being sent to the listener.

    Attributes:
        turn: its number in the conversation.
        voice: its voice's name.
        replied_to: the user's spoken turn, or None after a typed one.
        stop_by: after an interruption, the deadline of the page's playback report.
        calls: function calls sent to the listener, with their numbers in the conversation.
        timings: the consecutive parts of the latency, ms (silence, recognition, words, speech).
    """

    def __init__(
        self,
        answer: Answer,
        turn: int,
        voice: str,
        replied_to: TurnRecognition | None,
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
        self._num_words = 0  # words whose timestamps have been sent
        self._timed_at: tuple[int, bool] | None = None
        self._gain = 1.0
        self._reason = "interrupted"

    def emit_calls(self, number: Callable[[], int]) -> bool:
        """Sends the function calls, once; `number` assigns each its number."""
        if self.calls or not self.answer.calls:
            return False
        self._tell_text()  # before the calls, and complete
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
        done = answer.done  # read before the text, which is then complete
        self._tell_text()
        self._send(now)
        self._time_words()
        if done and not answer.waiting and not playback.complete:
            playback.complete = True
            self._sent()
        return playback.complete and (playback.over(now) or not playback.begun)

    def duck(self, now: float) -> None:
        """Ducks the agent, which plays on, while the user speaks over it."""
        if self.playback.begun and self._gain != DUCK_GAIN:
            self._gain = DUCK_GAIN
            self.playback.resume(now)
            self._tell("duck", gain=DUCK_GAIN)

    @property
    def pausable(self) -> bool:
        """Whether the listener can pause: the page, which reports its playback, can."""
        return self.playback.reported is not None

    def nearly_over(self, now: float) -> bool:
        """Whether so little is left to play that speech over it answers it."""
        return self.playback.complete and self.playback.lead_s(now) < _NEARLY_OVER_S

    def hold(self, now: float) -> None:
        """Pauses playback while it is unclear whether the user interrupts."""
        if self.playback.begun and self._gain > 0:
            self._gain = 0.0
            self.playback.hold(now)
            self._tell("duck", gain=0)

    def restore(self, now: float) -> None:
        """Plays on at full volume after a false alarm."""
        if self._gain < 1 and self.stop_by is None:
            self._gain = 1.0
            self.playback.resume(now)
            self._metrics.interruptions.labels("restored").inc()
            self._tell("restore")

    def cut(self, reason: str, now: float) -> bool:
        """Interrupts it; True if nothing was sent, so that no report is awaited."""
        self.answer.cancel()
        self._reason = reason
        self.stop_by = now + _STOP_REPORT_S
        if self.playback.begun or (self.answer.silent and self.answer.text):
            self._tell("stop", fade_ms=FADE_MS, reason=reason)
        return not self.playback.begun

    def num_played(self, now: float) -> int:
        """Estimated samples played of an interrupted reply."""
        reported = self.playback.reported
        return self.playback.position(now) if reported is None else reported

    def dropped(self) -> None:
        """Notifies the listener that the reply was dropped unplayed."""
        self._tell("reply.dropped", turn=self.turn, reason=self._reason)

    def _send(self, now: float) -> None:
        playback, answer = self.playback, self.answer
        if not playback.begun and not answer.done:
            others = self._metrics.in_the_making() - 1
            sessions = self._metrics.num_sessions() - 1
            least_s = max(_FIRST_S, others * _START_S, sessions * _SESSION_S)
            if answer.num_samples < least_s * SAMPLE_RATE:
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
            self._emit(AudioChunk(answer.number, start, samples))

    def _time_words(self) -> None:
        """Sends new word timestamps; withholds the last word, whose end may still change."""
        # Timing takes long; ticks are many more than chunks.
        at = self.playback.sent, self.answer.done
        if not self.playback.begun or at == self._timed_at:
            return
        self._timed_at = at
        words = self.answer.words
        ripe = words[self._num_words : len(words) if at[1] else len(words) - 1]
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
