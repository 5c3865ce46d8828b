"""The user speaks while the agent does: it is ducked, pauses, is interrupted or plays on."""

from collections.abc import Callable
from dataclasses import replace

from app.active_reply import ActiveReply
from app.agent_turns import AgentTurns
from app.barge_in import BargeInClassifier, Verdict
from app.endpointing import SpeechEvent, SpeechEventKind
from app.metrics import Metrics
from app.settings import SessionSettings
from app.user_turns import UserTurns


class Overlap:
    """Args:
    barge_in: decides what the user's speech over the agent is.
    user, agent: the two sides.
    wordless: whether the user's audio is answered without a transcript.
    """

    def __init__(
        self,
        barge_in: BargeInClassifier,
        user: UserTurns,
        agent: AgentTurns,
        wordless: Callable[[], bool],
        metrics: Metrics,
    ) -> None:
        self._barge_in, self._user, self._agent = barge_in, user, agent
        self._wordless, self._metrics = wordless, metrics
        self.note = barge_in.note

    @property
    def speech(self) -> SpeechEvent | None:
        """The start of speech over the agent, until it is decided what it is."""
        return self._barge_in.start

    def begin(self, start: SpeechEvent, interrupt_ms: int, over: str) -> None:
        """Speech has started over an answer; see `BargeInClassifier.begin`."""
        onset = self._user.onset(start.at)
        self._barge_in.begin(replace(start, at=onset), interrupt_ms, over)

    def weigh(self, settings: SessionSettings, now: float) -> None:
        """Does what is due. Three stages: speech ducks the agent, longer speech pauses it, words
        interrupt it.

        Args:
            settings: the session's.
            now: clock reading.
        """
        self._barge_in.settle(self._user.endpointer)
        start, silence, active = self.speech, self._barge_in.silence, self._agent.active
        if start is None:
            return
        ended = silence is not None and silence.kind is SpeechEventKind.ENDED
        if not (self._user.endpointer.in_speech or ended):  # it was the agent's echo
            self._play_on(now)
        elif active is None or active.stop_by is not None:
            self._take_turn(start, now)
        elif settings.interrupt:
            self._judge(start, active, now)
        elif silence is not None:
            self._play_on(now)

    def end(self, now: float) -> None:
        """Discards the speech; the agent plays on."""
        self._barge_in.end()
        if self._agent.active is not None:
            self._agent.active.restore(now)

    def _judge(self, start: SpeechEvent, active: ActiveReply, now: float) -> None:
        endpointer, pausable = self._user.endpointer, active.pausable
        verdict = self._barge_in.judge(endpointer, self._user.sound_from, hastily=not pausable)
        if verdict is Verdict.INTERRUPTION:
            self._metrics.interruptions.labels("cut").inc()
            self._agent.stop("interrupted")
            self._take_turn(start, now)
        elif verdict is Verdict.UNDECIDED and not self._barge_in.should_pause(endpointer):
            active.duck(now)
        elif active.nearly_over(now):
            # "Yes" before the last word of a question has been played is an answer.
            self._take_turn(start, now)
            active.restore(now)
        elif verdict is Verdict.BACKCHANNEL:
            self._play_on(now)
        elif pausable:
            active.hold(now)

    def _take_turn(self, start: SpeechEvent, now: float) -> None:
        """The speech begins the user's turn, and may already have ended it."""
        pause = self._barge_in.pause
        self._barge_in.end()
        user = self._user
        if user.current is None or user.current.ended_at is not None:
            user.begin(start, self._wordless())
        if pause is not None:
            user.catch_up(pause, now)

    def _play_on(self, now: float) -> None:
        """It was a cough or a backchannel."""
        self._user.endpointer.forget()
        self.end(now)
