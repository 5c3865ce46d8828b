"""The agent's side of a conversation: starting, sending, interrupting and storing answers."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from app.active_reply import ActiveReply, Emit
from app.answering import Answer, SpeakerProtocol, begin_writing
from app.history import AGENT, DialogueHistory, Note, Place, TurnRecord
from app.manner import measure_manner
from app.metrics import Metrics
from app.model_selector import ModelSelector
from app.out_of_band import OutOfBandReplies
from app.replies import ChatMessage, Responder, TakesBriefing
from app.settings import SessionSettings
from app.speech_worker import SpeechWorker
from app.turn_recognition import TurnRecognition
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
        selector: selects responder, predictor and voice by settings.
        active: the answer being sent, or None.
        out_of_band: out-of-band answers.
    """

    def __init__(
        self,
        speaker: SpeakerProtocol,
        responders: dict[str, Responder],
        settings: SessionSettings,
        history: DialogueHistory,
        emit: Emit,
        notice: Callable[[str, str], None],
        wake: Callable[[], None],
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self.selector = ModelSelector(speaker, responders)
        self.active: ActiveReply | None = None
        self._history, self._emit, self._notice = history, emit, notice
        self._clock, self._metrics = clock, metrics
        self._worker = SpeechWorker(speaker, wake, clock, self.selector.predictor(settings))
        self._stale = False  # whether the speech models' history differs from the conversation's
        self._replies = itertools.count(1)
        self.out_of_band = OutOfBandReplies(
            self.selector, speaker, self._worker, emit, clock, metrics
        )

    def add_turn(self, who: int, text: str, samples: np.ndarray | None) -> None:
        """Adds the last turn to the speech models' history."""
        self._worker.add_turn(who, text, samples)

    def expect_turn(self, who: int, text: str, samples: np.ndarray) -> None:
        """Adds a turn that may not have ended yet; see `SpeechWorker.expect_turn`."""
        if not self._stale:
            self._worker.expect_turn(who, text, samples)

    def warm_up(self) -> None:
        """Makes the speech models ready for a turn that may end soon."""
        self._worker.warm_up()

    def forget(self) -> None:
        """Marks the speech models' history as stale after an edit; it is rebuilt when needed."""
        self._stale = True

    def answer(
        self,
        settings: SessionSettings,
        turn: TurnRecognition | None,
        history: Sequence[ChatMessage] | None = None,
    ) -> None:
        """Starts the answer to the last turn (`turn` if it was just spoken), or to `history`."""
        predictor = self.selector.predictor(settings)
        if predictor != self._worker.predictor or self._stale:
            self._rebuild(predictor)
        voice, responder = self.selector.voice(settings), self.selector.responder(settings)
        reply, number = next(self._replies), self._history.number()
        messages = self.context_for(responder) if history is None else history
        if settings.spoken:
            answer = self._worker.answer(
                reply, responder, messages, voice, settings.speak_options()
            )
        else:
            answer = Answer(reply, self._clock, silent=True)
            begin_writing(answer, responder, messages, self._worker.wake)
        turns = self._history.turns
        to = turns[-1].number if turns else None
        self._history.place(Place(number, AGENT))
        self.active = ActiveReply(answer, number, voice.name, turn, self._emit, self._metrics)
        how: dict[str, Any] = {"read": asdict(tokens_read(messages, settings.briefing))}
        how |= {} if settings.spoken else {"written": True}
        end = None if turn is None else turn.end
        self._emit_started(reply, number, to=to, speech_end=end, **how)

    def answer_out_of_band(self, settings: SessionSettings, messages: Sequence[ChatMessage]) -> int:
        """Starts an out-of-band answer; returns its number.

        Raises:
            InputError: there are too many.
        """
        reply, number = next(self._replies), self._history.number()
        self.out_of_band.begin(reply, number, settings, messages)
        how: dict[str, Any] = {
            "aside": True,
            "read": asdict(tokens_read(messages, settings.briefing)),
        }
        how |= {} if settings.spoken else {"written": True}
        self._emit_started(reply, number, to=None, speech_end=None, **how)
        return reply

    def context_for(self, responder: Responder) -> list[ChatMessage]:
        """The conversation as input for that responder."""
        return self._history.messages(notes=isinstance(responder, TakesBriefing))

    def _emit_started(self, reply: int, number: int, **fields: object) -> None:
        self._emit({"type": "reply.started", "reply": reply, "turn": number, **fields})

    def tick(self, now: float) -> bool:
        """Sends what is due; returns whether playback of an answer has started."""
        for number, error in self.out_of_band.tick(now, self._history.number):
            self._notice("reply", f"response {number}: {error}")
        active = self.active
        if active is None:
            return False
        if active.emit_calls(self._history.number):
            for number, call in active.calls:
                self._history.place(Note(number, AGENT, call=call))
        if active.tick(now):
            self.settle(active, cut=active.stop_by is not None)
        return active.playback.begun

    def stop(self, reason: str) -> None:
        """Interrupts the answer, if any."""
        active = self.active
        if active is None or active.stop_by is not None:
            return
        if active.cut(reason, self._clock()):
            self.settle(active, cut=True)

    def leave_off(self) -> bool:
        """Settles a completely sent answer as played, for a listener who does not report playback;
        returns whether nothing is being spoken now."""
        active = self.active
        if active is None:
            return True
        is_sent = active.playback.complete and active.stop_by is None
        if is_sent and active.playback.reported is None:
            self.settle(active, cut=False)
        return self.active is None

    def report(self, reply: int, played: int, finished: bool, stopped: bool) -> bool:
        """Takes the page's report of how many samples of a reply were played; returns whether that
        reply was being spoken."""
        active = self.active
        if active is None or active.answer.number != reply:
            return False
        active.playback.report(played, self._clock(), finished)
        if stopped and active.stop_by is not None:
            self.settle(active, cut=True)
        return True

    def take_back(self) -> TurnRecognition | None:
        """Drops an unplayed answer and the turn that it answers, which the user continued; returns
        that turn."""
        active = self.active
        if active is None or active.replied_to is None:
            return None
        turn, self.active = active.replied_to, None
        active.answer.cancel()
        self._worker.settle(active.answer, None)
        self._history.take_back(turn.number)
        self._history.release(active.turn)
        self._rebuild(self._worker.predictor)
        active.dropped()
        return turn

    def settle(self, active: ActiveReply, cut: bool) -> None:
        """Adds the answer to the history, as far as it was played."""
        self.active = None
        answer = active.answer
        num_played = active.num_played(self._clock()) if cut else active.playback.sent
        cut = cut and (num_played < answer.num_samples or not answer.done)
        written = answer.silent and bool(answer.text)
        record = self._enter(active, num_played, cut) if num_played or written else None
        samples = answer.samples(num_played)
        self._worker.settle(answer, record, samples)
        if answer.error:
            self._notice("reply", answer.error)
        if record is None:
            self._history.release(active.turn)
            active.dropped()
            return
        if not written:
            record.manner = measure_manner(samples, self._history.manners(AGENT, active.voice))
        self._emit({"type": "turn", "reply": answer.number, **record.public()})

    def _enter(self, active: ActiveReply, num_played: int, cut: bool) -> TurnRecord:
        answer = active.answer
        record = TurnRecord(active.turn, AGENT, " ".join(answer.text.split()))
        record.voice, record.timings, record.words = active.voice, active.timings, answer.words
        self._history.add(record, answer.samples())
        record.typed = answer.silent
        if cut and answer.silent:
            record.cut = True
        elif cut:
            self._history.heard_until(record.number, num_played / SAMPLE_RATE)
        return record

    def attach(self, wake: Callable[[], None]) -> None:
        """A listener is back."""
        self._worker.wake = wake

    def detach(self) -> None:
        """The listener has left: truncates the current answer."""
        self.out_of_band.close()
        active = self.active
        if active is not None:
            active.answer.cancel()
            self.settle(active, cut=True)
        self._worker.wake = lambda: None

    def close(self) -> None:
        """Frees all resources."""
        self._worker.close()

    def _rebuild(self, predictor: str) -> None:
        turns = self._history.turns[-MAX_PAST_TURNS:]
        heard = [(one.who, one.text, self._history.sound(one)) for one in turns]
        self._worker.rebuild(heard, predictor)
        self._stale = False
