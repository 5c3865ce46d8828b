"""The agent's side of a conversation: starting, sending, interrupting and storing answers."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from app.answering import Answer, AnySpeaker, Voicebox, begin_writing
from app.asides import Asides
from app.cast import Cast
from app.history import AGENT, DialogueHistory, Note, Place, TurnRecord
from app.listening import Listening
from app.manner import measure_manner
from app.metrics import Metrics
from app.replies import Responder, Said, TakesBriefing
from app.settings import SessionSettings
from app.speaking import Emit, Speaking
from app.usage import tokens_read
from data.audio import SAMPLE_RATE
from data.limits import MAX_PAST_TURNS


class AgentTurns:
    """See the module.

    Args:
        speaker, responders: shared by all sessions.
        settings: the session's initial settings.
        history: the conversation's history.
        emit: sends to the listener.
        notice: reports the code and message of a failure.
        wake: requests, from any thread, a `tick` soon.
        clock: monotonic seconds.

    Attributes:
        cast: the current responder, predictor and voice.
        speaking: the answer being sent, or None.
        asides: out-of-band answers.
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
        self._stale = False  # whether the speech models' history differs from the conversation's
        self._replies = itertools.count(1)
        self.asides = Asides(self.cast, speaker, self._voicebox, emit, clock, metrics)

    def hear(self, who: int, text: str, samples: np.ndarray | None) -> None:
        """Adds the last turn to the speech models' history."""
        self._voicebox.hear(who, text, samples)

    def forget(self) -> None:
        """Marks the speech models' history as stale after an edit; it is rebuilt when needed."""
        self._stale = True

    def answer(
        self,
        settings: SessionSettings,
        turn: Listening | None,
        history: Sequence[Said] | None = None,
    ) -> None:
        """Starts the answer to the last turn (`turn` if it was just spoken) or to another "
        "history."""
        predictor = self.cast.predictor(settings)
        if predictor != self._voicebox.predictor or self._stale:
            self._rebuild(predictor)
        voice, responder = self.cast.voice(settings), self.cast.responder(settings)
        reply, number = next(self._replies), self._history.number()
        said = self.read_by(responder) if history is None else history
        if settings.spoken:
            answer = self._voicebox.answer(reply, responder, said, voice, settings.speak_options())
        else:
            answer = Answer(reply, self._clock, silent=True)
            begin_writing(answer, responder, said, self._voicebox.wake)
        turns = self._history.turns
        to = turns[-1].number if turns else None
        self._history.place(Place(number, AGENT))
        self.speaking = Speaking(answer, number, voice.name, turn, self._emit, self._metrics)
        how: dict[str, Any] = {"read": asdict(tokens_read(said, settings.briefing))}
        how |= {} if settings.spoken else {"written": True}
        end = None if turn is None else turn.end
        self._tell_started(reply, number, to=to, speech_end=end, **how)

    def answer_aside(self, settings: SessionSettings, said: Sequence[Said]) -> int:
        """Starts an out-of-band answer; returns its number.

        Raises:
            InputError: there are too many.
        """
        reply, number = next(self._replies), self._history.number()
        self.asides.begin(reply, number, settings, said)
        how: dict[str, Any] = {"aside": True, "read": asdict(tokens_read(said, settings.briefing))}
        how |= {} if settings.spoken else {"written": True}
        self._tell_started(reply, number, to=None, speech_end=None, **how)
        return reply

    def read_by(self, responder: Responder) -> list[Said]:
        """The conversation as input for that responder."""
        return self._history.said(notes=isinstance(responder, TakesBriefing))

    def _tell_started(self, reply: int, number: int, **fields: object) -> None:
        self._emit({"type": "reply.started", "reply": reply, "turn": number, **fields})

    def tick(self, now: float) -> bool:
        """Sends what is due; returns whether playback of an answer has started."""
        for number, error in self.asides.tick(now, self._history.number):
            self._notice("reply", f"response {number}: {error}")
        speaking = self.speaking
        if speaking is None:
            return False
        if speaking.tell_calls(self._history.number):
            for number, call in speaking.calls:
                self._history.place(Note(number, AGENT, call=call))
        if speaking.tick(now):
            self.settle(speaking, cut=speaking.stop_by is not None)
        return speaking.playback.begun

    def stop(self, reason: str) -> None:
        """Interrupts the answer, if any."""
        speaking = self.speaking
        if speaking is None or speaking.stop_by is not None:
            return
        if speaking.cut(reason, self._clock()):
            self.settle(speaking, cut=True)

    def leave_off(self) -> bool:
        """Settles a completely sent answer as played, for a listener who does not report playback;
        returns whether nothing is being spoken now."""
        speaking = self.speaking
        if speaking is None:
            return True
        is_sent = speaking.playback.complete and speaking.stop_by is None
        if is_sent and speaking.playback.reported is None:
            self.settle(speaking, cut=False)
        return self.speaking is None

    def report(self, reply: int, played: int, finished: bool, stopped: bool) -> bool:
        """Takes the page's report of how many samples of a reply were played; returns whether that
        reply was being spoken."""
        speaking = self.speaking
        if speaking is None or speaking.answer.number != reply:
            return False
        speaking.playback.report(played, self._clock(), finished)
        if stopped and speaking.stop_by is not None:
            self.settle(speaking, cut=True)
        return True

    def take_back(self) -> Listening | None:
        """Drops an unplayed answer and the turn that it answers, which the user continued; returns
        that turn."""
        speaking = self.speaking
        if speaking is None or speaking.replied_to is None:
            return None
        turn, self.speaking = speaking.replied_to, None
        speaking.answer.cancel()
        self._voicebox.settle(speaking.answer, None)
        self._history.take_back(turn.number)
        self._history.release(speaking.turn)
        self._rebuild(self._voicebox.predictor)
        speaking.dropped()
        return turn

    def settle(self, speaking: Speaking, cut: bool) -> None:
        """Adds the answer to the history, as far as it was played."""
        self.speaking = None
        answer = speaking.answer
        num_heard = speaking.num_heard(self._clock()) if cut else speaking.playback.sent
        cut = cut and (num_heard < answer.num_samples or not answer.done)
        written = answer.silent and bool(answer.text)
        record = self._enter(speaking, num_heard, cut) if num_heard or written else None
        samples = answer.samples(num_heard)
        self._voicebox.settle(answer, record, samples)
        if answer.error:
            self._notice("reply", answer.error)
        if record is None:
            self._history.release(speaking.turn)
            speaking.dropped()
            return
        if not written:
            record.manner = measure_manner(samples, self._history.manners(AGENT, speaking.voice))
        self._emit({"type": "turn", "reply": answer.number, **record.public()})

    def _enter(self, speaking: Speaking, num_heard: int, cut: bool) -> TurnRecord:
        answer = speaking.answer
        record = TurnRecord(speaking.turn, AGENT, " ".join(answer.text.split()))
        record.voice, record.timings, record.words = speaking.voice, speaking.timings, answer.words
        self._history.add(record, answer.samples())
        record.typed = answer.silent
        if cut and answer.silent:
            record.cut = True
        elif cut:
            self._history.heard_until(record.number, num_heard / SAMPLE_RATE)
        return record

    def attach(self, wake: Callable[[], None]) -> None:
        """A listener is back."""
        self._voicebox.wake = wake

    def detach(self) -> None:
        """The listener has left: truncates the current answer."""
        self.asides.close()
        speaking = self.speaking
        if speaking is not None:
            speaking.answer.cancel()
            self.settle(speaking, cut=True)
        self._voicebox.wake = lambda: None

    def close(self) -> None:
        """Frees all resources."""
        self._voicebox.close()

    def _rebuild(self, predictor: str) -> None:
        turns = self._history.turns[-MAX_PAST_TURNS:]
        heard = [(one.who, one.text, self._history.sound(one)) for one in turns]
        self._voicebox.rebuild(heard, predictor)
        self._stale = False
