"""All conversations of one server: how many there may be, and what becomes of those left alone."""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from app.answering import AnySpeaker
from app.library import Library, VoiceFacts, checked_name
from app.metrics import Metrics
from app.replies import Responder
from app.session import Session
from app.settings import SessionSettings
from app.speaking import Emitted
from app.turn_ending import TurnJudge
from app.uploads import Uploads
from app.voice_sample import VoiceSample
from data.errors import InputError, RepError
from data.recognition.recognizer import Recognizer

logger = logging.getLogger(__name__)

MAX_TRIED = 32
OPENAI_VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse",
    "marin", "cedar",
)  # fmt: skip
"""Names that OpenAI's clients send; ours speak for them in turn."""


class BusyError(RepError):
    """There are as many conversations as this machine carries."""


@dataclass
class Engines:
    """What all sessions share. The first responder answers unless another one is chosen;
    `voice_map` says which voice of ours speaks for a name of OpenAI's, where not the usual one.
    Without a `judge` turns end by silence, and `judge_caveat` says why there is none."""

    speaker: AnySpeaker
    recognizer: Recognizer
    responders: dict[str, Responder]
    judge: TurnJudge | None = None
    judge_caveat: str = ""
    library: Library = field(default_factory=Library)
    voice_map: dict[str, str] = field(default_factory=dict)
    uploads: Uploads = field(default_factory=Uploads)
    _tried: dict[str, Any] = field(default_factory=dict)
    _changing: Any = field(default_factory=threading.Lock)  # `speaker.voices`
    _stamps: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = self.speaker.voices
        self._stamps = {k: v for k, v in self.library.stamps().items() if k in known}

    def try_voice(self, voice: Any) -> str:
        """A name, hard to guess, under which a voice that is not kept can be heard, until
        `MAX_TRIED` others have been tried."""
        name = f"tried-{secrets.token_urlsafe(12)}"
        self._tried[name] = voice
        while len(self._tried) > MAX_TRIED:
            self._tried.pop(next(iter(self._tried)))
        return name

    def voice(self, name: str) -> Any:
        """The voice of this name, kept or tried, or an alias of one; the first there is for no
        name.

        Raises:
            InputError: there is none.
        """
        if name in self._tried:
            return self._tried[name]
        voices = self.speaker.voices
        if not name:
            return next(iter(voices.values()))
        known = self.voice_name(name)
        if known not in voices:
            raise InputError(f"voice {name!r:.60} is none of {', '.join(voices)}")
        return voices[known]

    def voice_name(self, name: str) -> str:
        """The name of the voice that speaks for an alias; any other name as it is."""
        voices = list(self.speaker.voices)
        if name in voices:
            return name
        if name in self.voice_map:
            return self.voice_map[name]
        if name in OPENAI_VOICES:
            return voices[OPENAI_VOICES.index(name) % len(voices)]
        return name

    def keep_voice(
        self,
        voice: Any,
        sample: VoiceSample,
        name: str,
        consent: str,
        transcript: str = "",
        language: str = "en",
    ) -> VoiceFacts:
        """Keeps a voice in the library; every conversation can use it at once.

        Raises:
            InputError: the name is taken or no name, or there is no consent.
        """
        with self._changing:
            self.check_new_voice(name)
            named = replace(voice, name=name)
            facts = self.library.keep(named, sample, consent, transcript, language)
            named = replace(named, description=facts.description, consent=facts.consent)
            self.speaker.voices = {**self.speaker.voices, name: named}
            self._stamps[name] = self.library.stamps()[name]
        return facts

    def check_new_voice(self, name: str) -> None:
        """Raises InputError when no voice can be kept under this name."""
        if checked_name(name) in self.speaker.voices:
            raise InputError(f"there is a voice {name!r} already; take another name")

    def remove_voice(self, name: str) -> None:
        """A bundled voice of that name stays; raises InputError when there is no cloned one."""
        with self._changing:
            self.library.remove(name)
            self._forget({name})

    def sync_voices(self) -> None:
        """Takes over what other processes have kept in the library, or removed from it."""
        with self._changing:
            now = self.library.stamps()
            changed = {name for name, stamp in now.items() if self._stamps.get(name) != stamp}
            gone = set(self._stamps) - set(now)
            if not changed and not gone:
                return
            self._forget(gone | changed)
            style_dim = len(next(iter(self.speaker.voices.values())).style)
            found = self.library.voices(style_dim, sorted(changed - set(self.speaker.voices)))
            self.speaker.voices = {**self.speaker.voices, **found}
            self._stamps = now

    def _forget(self, names: set[str]) -> None:
        """Takes cloned voices of these names away; bundled ones stay."""
        voices = self.speaker.voices.items()
        self.speaker.voices = {k: v for k, v in voices if k not in names or v.prompt is None}
        for name in names:
            self._stamps.pop(name, None)


@dataclass(frozen=True)
class HubSettings:
    """Limits.

    Attributes:
        max_sessions: conversations with a listener, and as many again that wait for theirs to come
            back; of more, the oldest goes.
        idle_s: after which a conversation in which nothing happens is ended.
        parked_s: a conversation whose connection dropped waits so long.
        session: settings of a new conversation.
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
        """A session for a new listener: the live or parked one of this name, or else a new one.

        Args:
            name: the secret one of a session that shall go on.
            settings: of the session from now on.
            emit, wake: see `Session`.
            lost: called when the session goes on with another listener.

        Returns:
            The session, and whether it is resumed.

        Raises:
            BusyError: no more are carried.
        """
        self.sweep()
        if name in self._live:  # the old connection is dead, and nobody has noticed yet
            session, old_is_lost = self._live[name]
            self.park(session)
            old_is_lost()
        if len(self._live) >= self.settings.max_sessions:
            self.metrics.refused.inc()
            raise BusyError(
                f"all {self.settings.max_sessions} places are taken; try again in a minute"
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
        """The listener is gone; the place is free at once, the dialogue waits."""
        if self._live.pop(session.name, None) is None:
            return
        session.detach()
        self._parked[session.name] = (session, self._clock())
        while len(self._parked) > self.settings.max_sessions:
            self._end_parked(next(iter(self._parked)))
        self._count()
        logger.info("session %s: parked", session.name[:6])

    def end(self, session: Session) -> None:
        """The conversation is over."""
        self._live.pop(session.name, None)
        session.close()
        self._count()
        logger.info("session %s: ended", session.name[:6])

    def find(self, name: str) -> Session | None:
        """A live or parked session by its secret name."""
        found = self._live.get(name) or self._parked.get(name)
        return found[0] if found is not None else None

    def sweep(self) -> None:
        """Ends what has waited too long."""
        now = self._clock()
        for name in [n for n, (_, at) in self._parked.items() if now - at > self.settings.parked_s]:
            self._end_parked(name)
        self._count()

    def close(self) -> None:
        """Ends everything."""
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
