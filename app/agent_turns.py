"""The agent's side of a conversation: answers are begun, sent, cut, and kept as they were heard."""

from collections.abc import Callable

import numpy as np

from app.answering import AnySpeaker, Voicebox
from app.cast import Cast
from app.history import AGENT, USER, DialogueHistory, TurnRecord
from app.listening import Listening
from app.manner import measure_manner
from app.metrics import Metrics
from app.replies import Responder
from app.settings import SessionSettings
from app.speaking import Emit, Speaking
from data.audio import SAMPLE_RATE
from data.limits import MAX_PAST_TURNS


class AgentTurns:
    """See the module.

    Args:
        speaker, responders: shared by all sessions.
        settings: of the session at first.
        history: of the conversation.
        emit: takes what goes to the listener.
        notice: takes the code and message of what failed.
        wake: asks, from any thread, for a `tick` soon.
        clock: monotonic seconds.

    Attributes:
        cast: who thinks and speaks.
        speaking: the answer on its way to the listener, or None.
    """

    def __init__(
        self,
        speaker: AnySpeaker,
        responders: dict[str, Responder],
        settings: SessionSettings,
        history: DialogueHistory,
        emit: Emit,
        notice: Callable[[str, str], None],
        wake: Callable[[], None],
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self.cast = Cast(speaker, responders)
        self.speaking: Speaking | None = None
        self._history, self._emit, self._notice = history, emit, notice
        self._clock, self._metrics = clock, metrics
        self._voicebox = Voicebox(speaker, wake, clock, self.cast.predictor(settings))

    def hear(self, text: str, samples: np.ndarray | None) -> None:
        """A turn of the user enters the history of the speech models."""
        self._voicebox.hear(USER, text, samples)

    def answer(self, settings: SessionSettings, turn: Listening | None) -> None:
        """Begins the answer to the last turn, which was `turn` if it was spoken just now."""
        predictor = self.cast.predictor(settings)
        if predictor != self._voicebox.predictor:
            self._rebuild(predictor)
        voice, responder = self.cast.voice(settings), self.cast.responder(settings)
        answer = self._voicebox.answer(
            responder, self._history.said(), voice, settings.speak_options()
        )
        number = self._history.number()
        self.speaking = Speaking(answer, number, voice.name, turn, self._emit, self._metrics)
        self._emit(
            {
                "type": "reply.started",
                "reply": answer.number,
                "turn": number,
                "to": self._history.turns[-1].number,
                "speech_end": None if turn is None else turn.end,
            }
        )

    def tick(self, now: float) -> bool:
        """Sends what is due; whether the listener has begun to hear an answer."""
        speaking = self.speaking
        if speaking is None:
            return False
        if speaking.tick(now):
            self.settle(speaking, cut=speaking.stop_by is not None)
        return speaking.playback.begun

    def stop(self, reason: str) -> None:
        """Cuts the answer, if there is one."""
        speaking = self.speaking
        if speaking is None or speaking.stop_by is not None:
            return
        if speaking.cut(reason, self._clock()):
            self.settle(speaking, cut=True)

    def report(self, reply: int, played: int, finished: bool, stopped: bool) -> None:
        """Takes the page's word on how much of a reply was played, in samples."""
        speaking = self.speaking
        if speaking is None or speaking.answer.number != reply:
            return
        speaking.playback.report(played, self._clock(), finished)
        if stopped and speaking.stop_by is not None:
            self.settle(speaking, cut=True)

    def take_back(self) -> Listening | None:
        """Drops the answer, of which nothing was heard, and the turn that it answers, which was
        not over; returns that turn."""
        speaking = self.speaking
        if speaking is None or speaking.replied_to is None:
            return None
        turn, self.speaking = speaking.replied_to, None
        speaking.answer.cancel()
        self._voicebox.settle(speaking.answer, None)
        self._history.take_back(turn.number)
        self._rebuild(self._voicebox.predictor)
        speaking.dropped()
        return turn

    def settle(self, speaking: Speaking, cut: bool) -> None:
        """The answer becomes history, as it was heard."""
        self.speaking = None
        answer = speaking.answer
        num_heard = speaking.num_heard(self._clock()) if cut else speaking.playback.sent
        cut = cut and (num_heard < answer.num_samples or not answer.done)
        record = self._enter(speaking, num_heard, cut) if num_heard else None
        samples = answer.samples(num_heard)
        self._voicebox.settle(answer, record, samples)
        if answer.error:
            self._notice("reply", answer.error)
        if record is None:
            speaking.dropped()
            return
        record.manner = measure_manner(samples, self._history.manners(AGENT, speaking.voice))
        self._emit({"type": "turn", "reply": answer.number, **record.public()})

    def _enter(self, speaking: Speaking, num_heard: int, cut: bool) -> TurnRecord:
        answer = speaking.answer
        record = TurnRecord(speaking.turn, AGENT, " ".join(answer.text.split()))
        record.voice, record.timings, record.words = speaking.voice, speaking.timings, answer.words
        self._history.add(record, answer.samples())
        if cut:
            self._history.heard_until(record.number, num_heard / SAMPLE_RATE)
        return record

    def attach(self, wake: Callable[[], None]) -> None:
        """A listener is there again."""
        self._voicebox.wake = wake

    def detach(self) -> None:
        """The listener is gone: what is being said ends here."""
        speaking = self.speaking
        if speaking is not None:
            speaking.answer.cancel()
            self.settle(speaking, cut=True)
        self._voicebox.wake = lambda: None

    def close(self) -> None:
        """Frees what it holds."""
        self._voicebox.close()

    def _rebuild(self, predictor: str) -> None:
        turns = self._history.turns[-MAX_PAST_TURNS:]
        heard = [(one.who, one.text, self._history.sound(one)) for one in turns]
        self._voicebox.rebuild(heard, predictor)
