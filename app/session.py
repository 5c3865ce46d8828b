"""One conversation: listening, recognition, answers, speech and interruptions.

It knows no sockets and no page, and never blocks: the owner passes in audio, texts and playback
reports, calls `tick` every few hundredths of a second, and forwards what it emits (JSON-ready
dicts, see `PROTOCOL.md`, and `AudioChunk`). All methods are called from one thread; recogniser,
responder and speaker run in their own.
"""

import logging
import time
from collections.abc import Callable, Sequence

import numpy as np

from app.active_reply import ActiveReply, AudioChunk, Emit, Emitted
from app.agent_turns import AgentTurns
from app.answering import SpeakerProtocol
from app.barge_in import BargeInClassifier
from app.endpointing import SpeechEvent, SpeechEventKind
from app.history import USER, DialogueHistory, TurnRecord
from app.inbox import ReplyRequest
from app.items import Items
from app.manner import measure_manner
from app.metrics import Metrics
from app.overlap import Overlap
from app.replies import ChatMessage, Responder
from app.settings import SessionSettings
from app.tool_runs import ToolRuns
from app.turn_ending import TurnJudge
from app.turn_recognition import TurnRecognition
from app.user_turns import UserTurns
from data.errors import InputError
from data.recognition.recognizer import Recognizer

logger = logging.getLogger(__name__)

_UNRECOGNISED_MS = 500  # voiced speech without any word after which the agent asks


class Session:
    """See the module.

    Attributes:
        history: the conversation so far.
        items: a client's edits of the conversation.

    Args:
        name: the session's secret id.
        speaker, recognizer, responders: shared by all sessions.
        settings: of this one.
        emit: sends to the listener; must not block.
        wake: asks the owner, from any thread, to call `tick` soon.
        clock: monotonic seconds.
        judge: end-of-turn model, shared by all sessions.
    """

    def __init__(
        self,
        name: str,
        speaker: SpeakerProtocol,
        recognizer: Recognizer,
        responders: dict[str, Responder],
        settings: SessionSettings,
        emit: Emit,
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
        judge: TurnJudge | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.history = DialogueHistory()
        self.state = "listening"
        self.responders = responders
        self._emit, self._clock = emit, clock
        self._metrics = metrics or Metrics()
        self._agent = AgentTurns(
            speaker,
            responders,
            settings,
            self.history,
            self._tell,
            self._notice,
            wake,
            clock,
            self._metrics,
        )
        self._user = UserTurns(
            settings.audio_input, recognizer, self.history, self._tell, self._metrics, judge
        )
        self.items = Items(self.history, self._agent, self._user, clock)
        self._overlap = Overlap(
            BargeInClassifier(recognizer), self._user, self._agent, self._takes_audio, self._metrics
        )
        self._tools = ToolRuns(self.history, self._tell)
        self._active_at = clock()

    # Input

    def push_audio(self, samples: np.ndarray) -> None:
        """Takes the user's sound [n], float32 at 24 kHz, as it arrives.

        Raises:
            InputError: the client commits turns, and this one is too long.
        """
        if self.settings.detect_turns:
            for event in self._user.listen(samples):
                self._on_speech_event(event)
            self._overlap.weigh(self.settings, self._clock())
            self._user.feed()
        else:
            self._active_at = self._clock()
            self._user.collect(samples, self._takes_audio())
        self.tick()

    def commit(self) -> None:
        """Ends the user's turn regardless of voice activity.

        Raises:
            InputError: there is none, or too many are queued for recognition.
        """
        self._active_at = self._clock()
        self._user.commit(self._active_at)
        self.tick()

    def write(self, text: str) -> None:
        """Takes a typed turn and answers it; interrupts an answer being spoken.

        Raises:
            InputError: too much text is waiting for an answer.
        """
        self._user.inbox.write(text)
        self._drop_speech()
        self.stop("typed")
        self._ask(ReplyRequest(self.settings))

    def respond(
        self, settings: SessionSettings | None = None, history: Sequence[ChatMessage] | None = None
    ) -> None:
        """Requests an answer. An answer being spoken is interrupted if the user has said something
        since; function outputs wait until it ends.

        Args:
            settings: for this answer; None: the session's.
            history: to answer; None: the conversation's own.

        Raises:
            InputError: everything has been answered, or is being answered.
        """
        settings, inbox = settings or self.settings, self._user.inbox
        waiting = self.history.waiting
        is_new = bool(waiting or inbox or self._user.recognising or history is not None)
        if not (self._agent.leave_off() or is_new):
            raise InputError("an answer is being made; wait for its end, or cancel it")
        if not is_new and not self._agent.selector.can_begin(settings):
            raise InputError("there is nothing to answer; create an item first, or speak")
        if inbox or self._user.recognising or any(one.who == USER for one in waiting):
            self.stop("typed")
        self._ask(ReplyRequest(settings, history))

    def forget_speech(self) -> bool:
        """Discards the user's current speech; returns whether there was any."""
        was_heard = self._drop_speech()
        self._emit_state()
        return was_heard

    def stop(self, reason: str = "asked") -> None:
        """Interrupts the agent's turn, if any."""
        self._agent.stop(reason)

    def report(self, reply: int, played: int, finished: bool, stopped: bool) -> None:
        """Takes the page's report of how many samples of a reply were played."""
        if self._agent.report(reply, played, finished, stopped) and (finished or stopped):
            self._user.played()
        self.tick()

    def measured(self, reply: int, first_audio_ms: float) -> None:
        """Takes the page's measurement: end of the user's speech to the first sample played."""
        self._metrics.first_audio.observe(first_audio_ms / 1000)
        active = self._active
        if active is not None and active.answer.number == reply:
            active.timings["first_audio_ms"] = first_audio_ms

    def underran(self, count: int) -> None:
        """Takes the page's count of underruns."""
        self._metrics.underruns.labels("page").inc(count)

    def adjust(self, settings: SessionSettings) -> None:
        """Applies new settings, effective with the next turn."""
        if settings.detect_turns and not self.settings.detect_turns:
            self._drop_speech()  # audio that was collected but not committed
        self.settings = settings
        self._user.endpointer.adjust(settings.audio_input)

    @property
    def answering(self) -> bool:
        """Whether an answer is being generated or spoken, and was not interrupted."""
        active = self._active
        return active is not None and active.stop_by is None

    @property
    def idle_s(self) -> float:
        """Seconds since the last activity of user or agent."""
        return self._clock() - self._active_at

    # Time

    def tick(self) -> None:
        """Does whatever is due. Never blocks."""
        now = self._clock()
        if self._agent.tick(now):
            self._active_at = now
        self._user.emit_partial()
        self._expect_turn()
        if self._tools.take():
            self._user.inbox.requested = ReplyRequest(self._tools.settings(self.settings))
        self._tick_user()
        self._emit_state()

    def detach(self) -> None:
        """The listener has left: truncates the reply and discards unfinished speech."""
        self._drop_speech()
        self._agent.detach()
        self._user.clear()
        self._emit = lambda _: None

    def attach(self, emit: Emit, wake: Callable[[], None]) -> None:
        """A listener is back; its samples are counted from 0."""
        self._emit = emit
        self._agent.attach(wake)
        self._user.restart(self.settings.audio_input)
        self._active_at = self._clock()
        self.state = "listening"

    def close(self) -> None:
        """Ends the session and frees what it holds."""
        self.detach()
        self._agent.close()
        self._tools.close()
        self.history.close()

    # The user's turn

    def _on_speech_event(self, event: SpeechEvent) -> None:
        self._active_at = self._clock()
        current = self._user.current
        if event.kind is SpeechEventKind.STARTED:
            self._on_started(event)
        elif self._overlap.speech is not None:
            self._overlap.note(event)
        elif current is None:
            self._user.endpointer.forget()
        elif event.kind is SpeechEventKind.RESUMED:
            current.voiced(event.voiced_ms)
        elif event.kind is SpeechEventKind.PAUSED:
            self._user.pause(event)
        elif event.kind is SpeechEventKind.ENDED:
            self._user.end(event, self._active_at)

    def _on_started(self, event: SpeechEvent) -> None:
        active = self._active
        if self._overlap.speech is not None:
            self._overlap.note(event)
        elif active is None or active.stop_by is not None:
            self._user.begin(event, self._takes_audio())
        elif active.playback.begun or self._too_late_to_reopen(active):
            self._overlap.begin(event, self.settings.interrupt_ms, active.answer.text)
        else:
            self._reopen()

    def _too_late_to_reopen(self, active: ActiveReply) -> bool:
        turn = active.replied_to
        if turn is None or turn.ended_at is None:
            return True
        return (self._clock() - turn.ended_at) * 1000 > self.settings.reopen_ms

    def _reopen(self) -> None:
        """The user continued the turn: drops its answer, none of which was played."""
        turn = self._agent.take_back()
        assert turn is not None
        turn.reopen()
        self._user.current = turn
        self._emit({"type": "turn.reopened", "turn": turn.number})
        self._metrics.reopened.inc()

    def _drop_speech(self) -> bool:
        self._overlap.end(self._clock())
        return self._user.drop()

    def _tick_user(self) -> None:
        while self._active is None and (turn := self._user.take_recognised()) is not None:
            self._recognised(turn)
        request = self._user.inbox.requested
        # A reply that was cut becomes history first, as soon as the page has said where it stopped.
        if request is None or self._user.recognising or not self._agent.leave_off():
            return
        self._keep_typed()
        is_new = request.history is not None or self.history.waiting
        if is_new or self._agent.selector.can_begin(request.settings):
            self._answer(request)
        else:  # the turn to answer was discarded
            self._user.inbox.requested = None
            self._notice("reply", "there was nothing to answer; say or type something")

    def _ask(self, request: ReplyRequest) -> None:
        self._active_at = self._clock()
        self._user.inbox.requested = request
        self.tick()

    def _keep_typed(self) -> None:
        text = self._user.inbox.take_typed()
        if text:
            self._keep(TurnRecord(self.history.number(), USER, text, typed=True), None, None)

    def _expect_turn(self) -> None:
        """Makes the agent ready for a turn, and gives it one in the pause that will probably end
        it."""
        settings, speaks = self.settings, self._user.warm_up(self._clock())
        if self._active is None and settings.detect_turns and settings.create_response:
            if speaks and settings.spoken:
                self._agent.warm_up()
            turn = self._user.take_expected()
            if turn is not None:
                self._agent.expect_turn(USER, turn.partial, turn.samples())

    def _recognised(self, turn: TurnRecognition) -> None:
        assert turn.ended_at is not None
        error, text = turn.error, turn.partial
        if error is not None:
            self._notice("recognition", str(error), turn=turn.number)
        recognition_s = self._clock() - turn.ended_at
        self._metrics.recognition.observe(recognition_s)
        unheard = error is not None or turn.voiced_ms < _UNRECOGNISED_MS
        if not text and unheard and not (turn.wordless or turn.committed):
            self.history.release(turn.number)
            self._emit({"type": "turn.dropped", "turn": turn.number})
            return
        self._keep_typed()
        samples = turn.samples()
        record = TurnRecord(turn.number, USER, text, wordless=turn.wordless)
        record.manner = measure_manner(samples, self.history.manners(USER), text)
        turn.timings["recognition_ms"] = 1000 * recognition_s
        record.timings = dict(turn.timings)
        self._keep(record, samples, turn)
        if self.settings.detect_turns and self.settings.create_response and turn.asks:
            self._answer(self._user.inbox.requested or ReplyRequest(self.settings), turn)

    def _keep(
        self, record: TurnRecord, samples: np.ndarray | None, turn: TurnRecognition | None
    ) -> None:
        """Adds a user turn to the history."""
        self._tools.restart()
        self.history.add(record, samples)
        said = record.public()
        if turn is not None:
            said["speech_end"] = turn.end  # sample index in the listener's stream
        self._emit({"type": "turn", **said})
        self._agent.add_turn(USER, record.text, samples)

    # The agent's turn

    @property
    def _active(self) -> ActiveReply | None:
        return self._agent.active

    def _answer(self, request: ReplyRequest, turn: TurnRecognition | None = None) -> None:
        self._user.inbox.requested = None
        self._agent.answer(request.settings, turn, request.history)

    def _takes_audio(self) -> bool:
        return self._agent.selector.takes_audio(self.settings)

    def _tell(self, out: Emitted) -> None:
        # A reply outlives its listener: it emits to the current one.
        if isinstance(out, AudioChunk):
            self._user.sent(out)
        elif out["type"] in ("duck", "restore"):
            self._user.ducked(out.get("gain", 1.0))
        self._emit(out)
        if not isinstance(out, AudioChunk) and out["type"] == "reply.calls":
            self._tools.begin(self.settings, out["calls"])

    def _notice(self, code: str, message: str, **fields: int) -> None:
        logger.warning("session %s: %s: %s", self.name[:6], code, message)
        self._emit({"type": "notice", "code": code, "message": message, **fields})

    def _emit_state(self) -> None:
        active = self._active
        if self._user.current is not None and self._user.current.ended_at is None:
            state = "hearing"
        elif self._user.recognising:
            state = "thinking"
        elif active is not None and active.stop_by is None:
            state = "speaking" if active.playback.begun else "thinking"
        else:
            state = "listening"
        if state != self.state:
            self.state = state
            self._emit({"type": "state", "state": state})
