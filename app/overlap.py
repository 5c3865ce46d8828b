"""The user speaks while the agent does: it is ducked, pauses, is interrupted or plays on."""

from collections.abc import Callable
from dataclasses import replace

from app.agent_turns import AgentTurns
from app.barging import Barging, Verdict
from app.hearing import Heard, Sign
from app.metrics import Metrics
from app.settings import SessionSettings
from app.speaking import Speaking
from app.user_turns import UserTurns


class Overlap:
    """Args:
    barging: decides what the user's speech over the agent is.
    user, agent: the two sides.
    wordless: whether the user's audio is answered without a transcript.
    """

    def __init__(
        self,
        barging: Barging,
        user: UserTurns,
        agent: AgentTurns,
        wordless: Callable[[], bool],
        metrics: Metrics,
    ) -> None:
        self._barging, self._user, self._agent = barging, user, agent
        self._wordless, self._metrics = wordless, metrics
        self.note = barging.note

    @property
    def speech(self) -> Heard | None:
        """The start of speech over the agent, until it is decided what it is."""
        return self._barging.heard

    def begin(self, heard: Heard, interrupt_ms: int, over: str) -> None:
        """Speech has started over an answer; see `Barging.begin`."""
        onset = self._user.onset(heard.at)
        self._barging.begin(replace(heard, at=onset), interrupt_ms, over)

    def weigh(self, settings: SessionSettings, now: float) -> None:
        """Does what is due. Three stages: speech ducks the agent, longer speech pauses it, words
        interrupt it.

        Args:
            settings: the session's.
            now: clock reading.
        """
        heard, silent, speaking = self.speech, self._barging.silent, self._agent.speaking
        if heard is None:
            return
        ended = silent is not None and silent.sign is Sign.ENDED
        if not (self._user.ears.in_speech or ended):  # it was the agent's echo
            self._play_on(now)
        elif speaking is None or speaking.stop_by is not None:
            self._take_turn(heard, silent, now)
        elif settings.interrupt:
            self._judge(heard, silent, speaking, now)
        elif silent is not None:
            self._play_on(now)

    def end(self, now: float) -> None:
        """Discards the speech; the agent plays on."""
        self._barging.end()
        if self._agent.speaking is not None:
            self._agent.speaking.restore(now)

    def _judge(self, heard: Heard, silent: Heard | None, speaking: Speaking, now: float) -> None:
        ears, pausable = self._user.ears, speaking.pausable
        verdict = self._barging.judge(ears, self._user.sound_from, hastily=not pausable)
        if verdict is Verdict.WORDS:
            self._metrics.interruptions.labels("cut").inc()
            self._agent.stop("interrupted")
            self._take_turn(heard, silent, now)
        elif verdict is Verdict.OPEN and not self._barging.silences(ears):
            speaking.duck(now)
        elif speaking.nearly_over(now):
            # "Yes" before the last word of a question has been played is an answer.
            self._take_turn(heard, silent, now)
            speaking.restore(now)
        elif verdict is Verdict.NOTHING:
            self._play_on(now)
        elif pausable:
            speaking.hold(now)

    def _take_turn(self, heard: Heard, silent: Heard | None, now: float) -> None:
        """The speech begins the user's turn, and may already have ended it."""
        self._barging.end()
        user = self._user
        if user.current is None or user.current.ended_at is not None:
            user.begin(heard, self._wordless())
        if silent is not None:
            user.catch_up(silent, now)

    def _play_on(self, now: float) -> None:
        """It was a cough or a backchannel."""
        self._user.ears.forget()
        self.end(now)
