"""All sessions of a server: limits, parking and expiry."""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.active_reply import Emitted
from app.answering import SpeakerProtocol
from app.metrics import Metrics
from app.replies import Responder
from app.session import Session
from app.settings import SessionSettings
from app.turn_ending import TurnJudge
from app.uploads import Uploads
from app.voice_store import VoiceStore
from data.audio import SYNTHETIC_HEADERS, mark_of
from data.errors import RepError
from data.recognition.recognizer import Recognizer

logger = logging.getLogger(__name__)


class BusyError(RepError):
    """The maximum number of sessions is reached."""


@dataclass
class Engines:
    """Resources shared by all sessions. The first responder is the default. Without a `judge` turns
    end by silence, and `judge_caveat` says why there is none. Audio is
    `marked` as synthetic, in files and responses."""

    voices: VoiceStore
    recognizer: Recognizer
    responders: dict[str, Responder]
    judge: TurnJudge | None = None
    judge_caveat: str = ""
    uploads: Uploads = field(default_factory=Uploads)
    marked: bool = True

    @property
    def speaker(self) -> SpeakerProtocol:
        return self.voices.speaker

    @property
    def mark_headers(self) -> dict[str, str]:
        """Of an answer that holds speech."""
        return dict(SYNTHETIC_HEADERS) if self.marked else {}

    def mark(self, consent: str = "") -> str:
        """The comment for a file of speech; see `data.audio.mark_of`."""
        return mark_of(consent) if self.marked else ""


@dataclass(frozen=True)
class HubSettings:
    """Limits.

    Attributes:
        max_sessions: sessions with a listener, and as many again parked; beyond that the oldest
            parked one ends.
        idle_s: idle time after which a session ends.
        parked_s: how long a session without a connection is kept.
        session: default settings of a session.
    """

    max_sessions: int = 8
    idle_s: float = 600.0
    parked_s: float = 30.0
    session: SessionSettings = field(default_factory=SessionSettings)


class Hub:
    """Opens, parks, resumes and ends sessions. Used from the server's loop only."""

    def __init__(
        self,
        engines: Engines,
        settings: HubSettings | None = None,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engines = engines
        self.settings = settings or HubSettings()
        self.metrics = metrics or Metrics()
        self._clock = clock
        self._live: dict[str, tuple[Session, Callable[[], None]]] = {}
        self._parked: dict[str, tuple[Session, float]] = {}

    @property
    def num_live(self) -> int:
        return len(self._live)

    def open(
        self,
        name: str | None,
        settings: SessionSettings,
        emit: Callable[[Emitted], None],
        wake: Callable[[], None],
        lost: Callable[[], None],
    ) -> tuple[Session, bool]:
        """A session for a new listener: the live or parked one with this name, else a new one.

        Args:
            name: secret id of a session to resume.
            settings: the session's new settings.
            emit, wake: see `Session`.
            lost: called if another listener takes the session over.

        Returns:
            The session, and whether it is resumed.

        Raises:
            BusyError: the limit is reached.
        """
        self.sweep()
        if name in self._live:  # the old connection is dead but not yet detected
            session, old_is_lost = self._live[name]
            self.park(session)
            old_is_lost()
        if len(self._live) >= self.settings.max_sessions:
            self.metrics.refused.inc()
            raise BusyError(
                f"all {self.settings.max_sessions} sessions are in use; try again in a minute"
            )
        parked = self._parked.pop(name, None) if name else None
        if parked is not None:
            session = parked[0]
            session.adjust(settings)
            session.attach(emit, wake)
        else:
            session = self._new_session(settings, emit, wake)
        self._live[session.name] = (session, lost)
        self._count()
        logger.info("session %s: %s", session.name[:6], "resumed" if parked else "opened")
        return session, parked is not None

    def _new_session(
        self, settings: SessionSettings, emit: Callable[[Emitted], None], wake: Callable[[], None]
    ) -> Session:
        return Session(
            secrets.token_urlsafe(18),
            self.engines.speaker,
            self.engines.recognizer,
            self.engines.responders,
            settings,
            emit,
            wake,
            self._clock,
            self.metrics,
            self.engines.judge,
        )

    def park(self, session: Session) -> None:
        """Parks the session of a lost listener, which frees its place at once."""
        if self._live.pop(session.name, None) is None:
            return
        session.detach()
        self._parked[session.name] = (session, self._clock())
        while len(self._parked) > self.settings.max_sessions:
            self._end_parked(next(iter(self._parked)))
        self._count()
        logger.info("session %s: parked", session.name[:6])

    def end(self, session: Session) -> None:
        """Ends a session."""
        self._live.pop(session.name, None)
        session.close()
        self._count()
        logger.info("session %s: ended", session.name[:6])

    def find(self, name: str) -> Session | None:
        """A live or parked session by its secret name."""
        found = self._live.get(name) or self._parked.get(name)
        return found[0] if found is not None else None

    def sweep(self) -> None:
        """Ends idle and expired sessions."""
        now = self._clock()
        for name in [n for n, (_, at) in self._parked.items() if now - at > self.settings.parked_s]:
            self._end_parked(name)
        self._count()

    def close(self) -> None:
        """Ends all sessions."""
        for session, _ in list(self._live.values()):
            self.end(session)
        for name in list(self._parked):
            self._end_parked(name)

    def _end_parked(self, name: str) -> None:
        session, _ = self._parked.pop(name)
        session.close()
        logger.info("session %s: ended", name[:6])

    def _count(self) -> None:
        self.metrics.sessions.set(len(self._live))
        self.metrics.parked.set(len(self._parked))
