"""One conversation: it listens, recognises, answers, speaks, and is interrupted.

No sockets, no page, no waiting: the owner gives it sound, texts and reports, calls `tick` every few
hundredths of a second, and takes what it emits (JSON-ready dicts, see `PROTOCOL.md`, and `Sound`).
All methods are called from one thread; recogniser, responder and speaker work in their own.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from app.answering import AnySpeaker, Voicebox
from app.hearing import FRAME_MS, Ears, Heard, HearingSettings, Memory, Sign
from app.listening import Listening
from app.manner import measure_manner
from app.metrics import Metrics
from app.recognition import NoRecognizer, Recognizer
from app.replies import Responder
from app.settings import SessionSettings
from app.speaking import Emit, Emitted, Speaking
from app.turns import AGENT, USER, TurnRecord, TurnStore
from data.audio import SAMPLE_RATE

logger = logging.getLogger(__name__)

_SHORTEST_TURN_MS = 120  # voiced
_UNHEARD_MS = 500  # voiced speech without a word is worth a question
_MOSTLY = 0.6  # of speech that interrupts is voiced
_MEMORY_S = 66.0


class Session:
    """See the module.

    Args:
        name: the session's secret id.
        speaker, recognizer, responders: shared by all sessions.
        settings: of this one.
        emit: takes what goes to the listener; must not wait.
        wake: asks the owner, from any thread, to call `tick` soon.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        name: str,
        speaker: AnySpeaker,
        recognizer: Recognizer,
        responders: dict[str, Responder],
        settings: SessionSettings,
        emit: Emit,
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.turns = TurnStore()
        self.state = "listening"
        self._speaker, self._recognizer, self.responders = speaker, recognizer, responders
        self._emit, self._clock = emit, clock
        self._metrics = metrics or Metrics()
        self._voicebox = Voicebox(speaker, wake, clock, self._predictor())
        self._ears = Ears(settings.hearing)
        self._memory = Memory(_MEMORY_S)
        self._turn: Listening | None = None
        self._speaking: Speaking | None = None
        self._barging: Heard | None = None
        self._typed: list[str] = []
        self._active_at = clock()

    # What comes in

    def hear(self, samples: np.ndarray) -> None:
        """Takes the user's sound [n], float32 at 24 kHz, as it arrives."""
        self._memory.push(samples)
        for heard in self._ears.push(samples):
            self._on_heard(heard)
        self._on_barging()
        self._feed()
        self.tick()

    def write(self, text: str) -> None:
        """Takes a typed turn; an answer that is being spoken is cut."""
        self._active_at = self._clock()
        self._typed.append(text)
        self._drop_listening()
        self.stop("typed")
        self.tick()

    def forget_speech(self) -> None:
        """What the user is saying now shall be no turn."""
        self._drop_listening()
        self._tell_state()

    def stop(self, reason: str = "asked") -> None:
        """Cuts the agent's turn, if there is one."""
        speaking = self._speaking
        if speaking is None or speaking.stop_by is not None:
            return
        if speaking.cut(reason, self._clock()):
            self._settle(speaking, cut=True)

    def report(self, reply: int, played: int, finished: bool, stopped: bool) -> None:
        """Takes the page's word on how much of a reply was played, in samples."""
        speaking = self._speaking
        if speaking is None or speaking.answer.number != reply:
            return
        speaking.playback.report(played, self._clock(), finished)
        if stopped and speaking.stop_by is not None:
            self._settle(speaking, cut=True)
        self.tick()

    def measured(self, reply: int, first_audio_ms: float) -> None:
        """Takes the page's measurement: end of the user's speech to the first sample played."""
        self._metrics.first_audio.observe(first_audio_ms / 1000)
        speaking = self._speaking
        if speaking is not None and speaking.answer.number == reply:
            speaking.timings["first_audio_ms"] = first_audio_ms

    def underran(self, count: int) -> None:
        """Takes the page's count of gaps in the playing."""
        self._metrics.underruns.labels("page").inc(count)

    def adjust(self, settings: SessionSettings) -> None:
        """Takes new settings; they hold from the next turn on."""
        self.settings = settings
        self._ears.adjust(settings.hearing)

    @property
    def idle_s(self) -> float:
        """Since the user or the agent did something."""
        return self._clock() - self._active_at

    # Time goes on

    def tick(self) -> None:
        """Does what has become due. Never waits."""
        now = self._clock()
        speaking = self._speaking
        if speaking is not None:
            if speaking.tick(now):
                self._settle(speaking, cut=speaking.stop_by is not None)
            if speaking.playback.begun:
                self._active_at = now
        if self._turn is not None:
            self._tick_turn(self._turn)
        if self._typed and self._speaking is None:
            text, self._typed = " ".join(self._typed), []
            record = TurnRecord(self.turns.number(), USER, text, typed=True)
            self._respond(record, None, None)
        self._tell_state()

    def detach(self) -> None:
        """The listener is gone: what is being said ends here, what was half said is forgotten."""
        self._drop_listening()
        speaking = self._speaking
        if speaking is not None:
            speaking.answer.cancel()
            self._settle(speaking, cut=True)
        self._typed.clear()
        self._emit = _into_nothing
        self._voicebox.wake = lambda: None

    def attach(self, emit: Emit, wake: Callable[[], None]) -> None:
        """A listener is there again; its sound is counted from 0."""
        self._emit, self._voicebox.wake = emit, wake
        self._ears = Ears(self.settings.hearing)
        self._memory = Memory(_MEMORY_S)
        self._active_at = self._clock()
        self.state = "listening"

    def close(self) -> None:
        """Ends the session and frees what it holds."""
        self.detach()
        self._voicebox.close()
        self.turns.close()

    # The user's turn

    def _on_heard(self, heard: Heard) -> None:
        self._active_at = self._clock()
        if heard.sign is Sign.STARTED:
            self._on_started(heard)
        elif heard.sign is Sign.WENT_ON and self._turn is not None:
            self._turn.voiced(heard.voiced_ms)
        elif heard.sign is Sign.PAUSED:
            if self._turn is None:
                self._not_a_turn()
            else:
                self._turn.voiced(heard.voiced_ms)
                self._turn.pause(heard.at, self._ears.num_samples)
        elif heard.sign is Sign.ENDED and self._turn is not None:
            self._end(self._turn, heard)

    def _on_started(self, heard: Heard) -> None:
        speaking = self._speaking
        if speaking is None or speaking.stop_by is not None:
            self._begin(heard)
        elif speaking.playback.begun or self._too_late_to_reopen(speaking):
            self._barging = heard
        else:
            self._reopen(speaking)

    def _too_late_to_reopen(self, speaking: Speaking) -> bool:
        asked = speaking.replied_to
        if asked is None or asked.ended_at is None:
            return True
        return (self._clock() - asked.ended_at) * 1000 > self.settings.reopen_ms

    def _begin(self, heard: Heard) -> None:
        waiting = self._turn
        if waiting is not None and waiting.ended_at is not None:
            waiting.reopen()  # its text is not there yet: the turn simply goes on
            return
        prefix = self.settings.hearing.prefix_ms * SAMPLE_RATE // 1000
        start = max(0, heard.at - prefix)
        wordless = self._hears_sound()
        recognizer = NoRecognizer() if wordless else self._recognizer
        self._turn = Listening(self.turns.number(), start, recognizer, self._memory)
        self._turn.wordless = wordless
        self._turn.voiced(heard.voiced_ms)
        self._emit({"type": "speech.started", "turn": self._turn.number, "at": start})

    def _reopen(self, speaking: Speaking) -> None:
        """The turn was not over: the answer, of which nothing was heard, is dropped."""
        turn = speaking.replied_to
        assert turn is not None
        speaking.answer.cancel()
        self._voicebox.settle(speaking.answer, 0.0)
        self._speaking = None
        self.turns.take_back(turn.number)
        self._rebuild()
        turn.reopen()
        self._turn = turn
        speaking.dropped()
        self._emit({"type": "turn.reopened", "turn": turn.number})
        self._metrics.reopened.inc()

    def _rebuild(self) -> None:
        self._voicebox.rebuild(
            [(one.who, one.text, self.turns.sound(one)) for one in self.turns.records[-6:]],
            self._predictor(),
        )

    def _feed(self) -> None:
        turn = self._turn
        if turn is not None and self._ears.in_speech and not self._ears.pausing:
            turn.voiced(self._ears.voiced_ms)
            turn.feed(self._ears.num_samples)

    def _end(self, turn: Listening, heard: Heard) -> None:
        turn.voiced(heard.voiced_ms)
        turn.pause(heard.at, self._ears.num_samples)
        if turn.voiced_ms < _SHORTEST_TURN_MS:
            self._drop_listening()
            return
        turn.ended_at = self._clock()
        silence = (self._ears.num_samples - heard.at) / SAMPLE_RATE
        turn.timings["silence_ms"] = 1000 * silence
        self._metrics.end_of_turn.observe(silence)

    def _drop_listening(self) -> None:
        turn, self._turn = self._turn, None
        self._barging = None
        self._ears.forget()
        if turn is not None:
            turn.abort()
            self._emit({"type": "turn.dropped", "turn": turn.number})

    def _tick_turn(self, turn: Listening) -> None:
        text = turn.partial
        if text != turn.shown:
            turn.shown = text
            self._emit({"type": "partial", "turn": turn.number, "text": text})
        # A reply that was cut becomes history first, as soon as the page has said where it stopped.
        if turn.recognised and self._speaking is None:
            self._recognised(turn, text)

    def _recognised(self, turn: Listening, text: str) -> None:
        assert turn.ended_at is not None
        error = turn.error
        if error is not None:
            self._notice("recognition", str(error))
        recognition_s = self._clock() - turn.ended_at
        self._metrics.recognition.observe(recognition_s)
        unheard = error is not None or turn.voiced_ms < _UNHEARD_MS
        if not text and unheard and not turn.wordless:
            self._drop_listening()
            return
        self._turn = None
        samples = turn.samples()
        record = TurnRecord(turn.number, USER, text, wordless=turn.wordless)
        record.manner = measure_manner(samples, self.turns.manners(USER))
        turn.timings["recognition_ms"] = 1000 * recognition_s
        record.timings = dict(turn.timings)
        self._respond(record, samples, turn)

    # The agent's turn

    def _respond(
        self, record: TurnRecord, samples: np.ndarray | None, turn: Listening | None
    ) -> None:
        self.turns.add(record, samples)
        said = record.public()
        if turn is not None:
            said["speech_end"] = turn.end  # on the listener's own count of samples
        self._emit({"type": "turn", **said})
        if self._predictor() == self._voicebox.predictor:
            self._voicebox.hear(USER, record.text, samples)
        else:
            self._rebuild()
        voice = self._voice()
        answer = self._voicebox.answer(
            self._responder(), self.turns.history(), voice, self.settings.speak_options()
        )
        number = self.turns.number()
        self._speaking = Speaking(answer, number, voice.name, turn, self._tell, self._metrics)
        self._emit(
            {
                "type": "reply.started",
                "reply": answer.number,
                "turn": number,
                "to": record.number,
                "speech_end": None if turn is None else turn.end,
            }
        )

    def _responder(self) -> Responder:
        known = self.responders
        return known.get(self.settings.responder) or next(iter(known.values()))

    def _hears_sound(self) -> bool:
        return getattr(self._responder(), "hears_sound", False)

    def _predictor(self) -> str:
        known = self._speaker.predictors
        return self.settings.predictor if self.settings.predictor in known else known[0]

    def _voice(self) -> Any:
        voices = self._speaker.voices
        return voices.get(self.settings.voice) or next(iter(voices.values()))

    def _on_barging(self) -> None:
        """Two stages: speech ducks the agent, longer speech cuts it."""
        heard, speaking = self._barging, self._speaking
        if heard is None:
            return
        if speaking is None or speaking.stop_by is not None:
            self._barging = None
            if self._ears.in_speech and self._turn is None:
                self._begin(heard)
            return
        if not self.settings.interrupt:
            return
        speaking.duck()
        # how long it lasts, not how much of it is voiced: the closure of a "stop" is speech too
        needed = self.settings.interrupt_ms - FRAME_MS / 2  # it is known in whole frames
        if self._ears.lasted_ms >= needed and self._ears.voiced_ms >= _MOSTLY * needed:
            self._barging = None
            self._metrics.interruptions.labels("cut").inc()
            self.stop("interrupted")
            self._begin(heard)

    def _not_a_turn(self) -> None:
        """A cough, a word of assent: the agent goes on."""
        self._barging = None
        self._ears.forget()
        if self._speaking is not None:
            self._speaking.restore()

    def _settle(self, speaking: Speaking, cut: bool) -> None:
        """The agent's turn becomes history, as it was heard."""
        self._speaking = None
        answer = speaking.answer
        spoken = speaking.outcome(cut, self._clock())
        played_s = len(spoken.samples) / SAMPLE_RATE
        self._voicebox.settle(answer, played_s if spoken.cut else None)
        if answer.error:
            self._notice("reply", answer.error)
        if not played_s:
            speaking.dropped()
            return
        record = TurnRecord(speaking.turn, AGENT, spoken.text, cut=spoken.cut)
        record.intended = spoken.whole if spoken.cut else ""
        record.voice = speaking.voice
        record.timings = speaking.timings
        earlier = self.turns.manners(AGENT, speaking.voice)
        record.manner = measure_manner(spoken.samples, earlier)
        self.turns.add(record, spoken.samples)
        self._emit({"type": "turn", "reply": answer.number, **record.public()})

    # What goes out

    def _tell(self, out: Emitted) -> None:
        # a reply outlives a listener: what it emits goes to whoever listens now
        self._emit(out)

    def _notice(self, code: str, message: str) -> None:
        logger.warning("session %s: %s: %s", self.name[:6], code, message)
        self._emit({"type": "notice", "code": code, "message": message})

    def _tell_state(self) -> None:
        speaking = self._speaking
        if self._turn is not None:
            state = "hearing" if self._turn.ended_at is None else "thinking"
        elif speaking is not None and speaking.stop_by is None:
            state = "speaking" if speaking.playback.begun else "thinking"
        else:
            state = "listening"
        if state != self.state:
            self.state = state
            self._emit({"type": "state", "state": state})


def _into_nothing(_: Emitted) -> None:
    """Where a session without a listener speaks."""


def with_settings(settings: SessionSettings, **changes: Any) -> SessionSettings:
    """Settings with some changed; the hearing's own are named flatly. Raises InputError."""
    hearing = {k: v for k, v in changes.items() if k in HearingSettings.__dataclass_fields__}
    rest = {k: v for k, v in changes.items() if k not in hearing}
    return replace(settings, hearing=replace(settings.hearing, **hearing), **rest)
