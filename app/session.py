"""One conversation: it listens, recognises, answers, speaks, and is interrupted.

No sockets, no page, no waiting: the owner gives it sound, texts and reports, calls `tick` every few
hundredths of a second, and takes what it emits (JSON-ready dicts, see `PROTOCOL.md`, and `Sound`).
All methods are called from one thread; recogniser, responder and speaker work in their own.
"""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.answering import Answer, AnySpeaker, Voicebox
from app.hearing import Ears, Heard, HearingSettings, Memory, Sign
from app.manner import measure_manner
from app.metrics import Metrics
from app.playback import Playback
from app.recognition import Recognizer, Utterance
from app.replies import Responder
from app.settings import SessionSettings
from app.turns import AGENT, USER, TurnRecord, TurnStore
from data.audio import SAMPLE_RATE

logger = logging.getLogger(__name__)

DUCK_GAIN = 0.25
FADE_MS = 20
_LEAD_S = 2.5  # sound sent ahead of the listener
_STOP_REPORT_S = 0.4  # the page has so long to say where it stopped
_TAIL_MS = 150  # of silence kept behind a turn
_SHORTEST_TURN_MS = 120  # voiced
_UNHEARD_MS = 500  # voiced speech without a word is worth a question
_MEMORY_S = 66.0


@dataclass(frozen=True)
class Sound:
    """Samples [n], float32, of a reply; `start` counts from its first sample."""

    reply: int
    start: int
    samples: np.ndarray


Emitted = dict[str, Any] | Sound


class _Listening:
    """The user's turn while it is being spoken, or between its end and its text."""

    def __init__(self, number: int, start: int) -> None:
        self.number = number
        self.start = start
        self.fed = start
        self.end = start
        self.voiced_ms = 0
        self.utterance: Utterance | None = None
        self.texts: list[Future[str]] = []
        self.ended_at: float | None = None
        self.shown = ""


class _Speaking:
    """The agent's turn from the request to the end of its playing."""

    def __init__(self, answer: Answer, turn: int, replied_to: _Listening | None) -> None:
        self.answer = answer
        self.turn = turn
        self.replied_to = replied_to
        self.playback = Playback()
        self.asked_at = answer.asked_at
        self.shown = ""
        self.ducked = False
        self.stop_by: float | None = None  # cut; the page's report is awaited
        self.timings: dict[str, float] = {}


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
        emit: Callable[[Emitted], None],
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.turns = TurnStore()
        self.state = "listening"
        self.late_chunks = 0
        self._speaker, self._recognizer, self.responders = speaker, recognizer, responders
        self._emit, self._clock = emit, clock
        self._metrics = metrics or Metrics()
        self._voicebox = Voicebox(speaker, wake, clock)
        self._ears = Ears(settings.hearing)
        self._memory = Memory(_MEMORY_S)
        self._turn: _Listening | None = None
        self._speaking: _Speaking | None = None
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

    def stop(self, reason: str = "asked") -> None:
        """Cuts the agent's turn, if there is one."""
        if self._speaking is not None and self._speaking.stop_by is None:
            self._cut(self._speaking, reason)

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
        if self._speaking is not None:
            self._tick_speaking(self._speaking, now)
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

    def attach(self, emit: Callable[[Emitted], None], wake: Callable[[], None]) -> None:
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
            self._turn.voiced_ms = heard.voiced_ms
        elif heard.sign is Sign.PAUSED:
            if self._turn is None:
                self._not_a_turn()
            else:
                self._pause(self._turn, heard)
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

    def _too_late_to_reopen(self, speaking: _Speaking) -> bool:
        asked = speaking.replied_to
        if asked is None or asked.ended_at is None:
            return True
        return (self._clock() - asked.ended_at) * 1000 > self.settings.reopen_ms

    def _begin(self, heard: Heard) -> None:
        waiting = self._turn
        if waiting is not None and waiting.ended_at is not None:
            waiting.ended_at = None  # its text is not there yet: the turn simply goes on
            return
        prefix = self.settings.hearing.prefix_ms * SAMPLE_RATE // 1000
        self._turn = _Listening(self.turns.number(), max(0, heard.at - prefix))
        self._turn.voiced_ms = heard.voiced_ms
        self._emit({"type": "speech.started", "turn": self._turn.number})

    def _reopen(self, speaking: _Speaking) -> None:
        """The turn was not over: the answer, of which nothing was heard, is dropped."""
        turn = speaking.replied_to
        assert turn is not None
        speaking.answer.cancel()
        self._voicebox.settle(speaking.answer, 0.0)
        self._speaking = None
        self.turns.take_back(turn.number)
        self._rebuild()
        turn.ended_at = None
        self._turn = turn
        self._emit({"type": "reply.dropped", "reply": speaking.answer.number})
        self._emit({"type": "turn.reopened", "turn": turn.number})
        self._metrics.reopened.inc()

    def _rebuild(self) -> None:
        self._voicebox.rebuild(
            [(one.who, one.text, self.turns.sound(one)) for one in self.turns.records[-6:]]
        )

    def _feed(self) -> None:
        """Gives the recogniser what it has not heard of the turn."""
        turn = self._turn
        if turn is None or not self._ears.in_speech or self._ears.pausing:
            return
        turn.voiced_ms = self._ears.voiced_ms
        if turn.utterance is None:
            turn.utterance = self._recognizer.open()
        turn.utterance.push(self._memory.read(turn.fed))
        turn.fed = self._ears.num_samples

    def _pause(self, turn: _Listening, heard: Heard) -> None:
        """Recognises what was said so far; if the turn ends here, its text is early."""
        turn.voiced_ms, turn.end = heard.voiced_ms, heard.at
        if turn.utterance is not None:
            turn.utterance.push(self._memory.read(turn.fed))
            turn.fed = self._ears.num_samples
            turn.texts.append(turn.utterance.finish())
            turn.utterance = None

    def _end(self, turn: _Listening, heard: Heard) -> None:
        self._pause(turn, heard)
        if turn.voiced_ms < _SHORTEST_TURN_MS:
            self._drop_listening()
            return
        turn.ended_at = self._clock()
        silence = (self._ears.num_samples - heard.at) / SAMPLE_RATE
        self._metrics.end_of_turn.observe(silence)

    def _drop_listening(self) -> None:
        turn, self._turn = self._turn, None
        self._barging = None
        self._ears.forget()
        if turn is not None:
            if turn.utterance is not None:
                turn.utterance.abort()
            self._emit({"type": "turn.dropped", "turn": turn.number})

    def _tick_turn(self, turn: _Listening) -> None:
        known = [one.result() for one in turn.texts if one.done() and not one.exception()]
        if turn.utterance is not None:
            known.append(turn.utterance.partial)
        text = " ".join(word for word in known if word)
        if text != turn.shown:
            turn.shown = text
            self._emit({"type": "partial", "turn": turn.number, "text": text})
        if turn.ended_at is not None and all(one.done() for one in turn.texts):
            self._recognised(turn)

    def _recognised(self, turn: _Listening) -> None:
        assert turn.ended_at is not None
        error = next((one.exception() for one in turn.texts if one.exception()), None)
        if error is not None:
            self._notice("recognition", str(error))
        text = " ".join(filter(None, (one.result() for one in turn.texts if not one.exception())))
        recognition_s = self._clock() - turn.ended_at
        self._metrics.recognition.observe(recognition_s)
        if not text and (error is not None or turn.voiced_ms < _UNHEARD_MS):
            self._drop_listening()
            return
        self._turn = None
        tail = _TAIL_MS * SAMPLE_RATE // 1000
        samples = self._memory.read(turn.start, turn.end + tail)
        record = TurnRecord(turn.number, USER, text)
        record.manner = measure_manner(samples, self.turns.manners(USER))
        record.timings["recognition_ms"] = 1000 * recognition_s
        self._respond(record, samples, turn)

    # The agent's turn

    def _respond(
        self, record: TurnRecord, samples: np.ndarray | None, turn: _Listening | None
    ) -> None:
        self.turns.add(record, samples)
        said = record.public()
        if turn is not None:
            silence_ms = self.settings.hearing.silence_ms
            said["speech_end"] = turn.end  # on the listener's own count of samples
            said["timings"]["silence_ms"] = float(silence_ms)
        self._emit({"type": "turn", **said})
        self._voicebox.hear(USER, record.text, samples)
        answer = self._voicebox.answer(
            self._responder(),
            self.turns.history(),
            self._voice(),
            self.settings.speak_options(),
        )
        self._speaking = _Speaking(answer, self.turns.number(), turn)
        self._emit(
            {
                "type": "reply.started",
                "reply": answer.number,
                "turn": self._speaking.turn,
                "to": record.number,
                "speech_end": None if turn is None else turn.end,
            }
        )

    def _responder(self) -> Responder:
        known = self.responders
        return known.get(self.settings.responder) or next(iter(known.values()))

    def _voice(self) -> Any:
        voices = self._speaker.voices
        return voices.get(self.settings.voice) or next(iter(voices.values()))

    def _tick_speaking(self, speaking: _Speaking, now: float) -> None:
        answer = speaking.answer
        if speaking.stop_by is not None:
            if now >= speaking.stop_by:
                self._settle(speaking, cut=True)
            return
        if answer.text != speaking.shown:
            speaking.shown = answer.text
            self._emit({"type": "reply.text", "reply": answer.number, "text": answer.text})
        self._send(speaking, now)
        playback = speaking.playback
        if answer.done and not answer.waiting and not playback.complete:
            playback.complete = True
            self._made(speaking)
        if playback.complete and (playback.over(now) or not playback.begun):
            self._settle(speaking, cut=False)

    def _send(self, speaking: _Speaking, now: float) -> None:
        playback, answer = speaking.playback, speaking.answer
        while playback.lead_s(now) < _LEAD_S:
            samples = answer.take()
            if samples is None:
                return
            if not playback.begun:
                self._first_sound(speaking, now)
            late = playback.late
            start = playback.sent
            playback.send(len(samples), now)
            if playback.late > late:
                self.late_chunks += 1
                self._metrics.underruns.labels("server").inc()
            self._emit(Sound(answer.number, start, samples))
            self._active_at = now

    def _first_sound(self, speaking: _Speaking, now: float) -> None:
        answer, turn = speaking.answer, speaking.replied_to
        timings = speaking.timings
        if answer.text_at is not None:
            timings["words_ms"] = 1000 * (answer.text_at - speaking.asked_at)
            self._metrics.llm.observe(answer.text_at - speaking.asked_at)
            timings["speech_ms"] = 1000 * (now - answer.text_at)
        if turn is not None and turn.ended_at is not None:
            timings["end_to_sound_ms"] = 1000 * (now - turn.ended_at)

    def _made(self, speaking: _Speaking) -> None:
        answer = speaking.answer
        if answer.num_samples:
            self._metrics.rtf.observe(answer.busy_s * SAMPLE_RATE / answer.num_samples)
        if answer.error:
            self._notice("reply", answer.error)
        words = [[word, start, end] for word, start, end in answer.words]
        self._emit(
            {
                "type": "reply.sent",
                "reply": answer.number,
                "samples": speaking.playback.sent,
                "words": words,
            }
        )

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
        if speaking.playback.begun and not speaking.ducked:
            speaking.ducked = True
            self._emit({"type": "duck", "reply": speaking.answer.number, "gain": DUCK_GAIN})
        if self._ears.voiced_ms >= self.settings.interrupt_ms:
            self._barging = None
            self._metrics.interruptions.labels("cut").inc()
            self._cut(speaking, "interrupted")
            self._begin(heard)

    def _not_a_turn(self) -> None:
        """A cough, a word of assent: the agent goes on."""
        self._barging = None
        self._ears.forget()
        if self._speaking is not None and self._speaking.ducked:
            self._speaking.ducked = False
            self._metrics.interruptions.labels("restored").inc()
            self._emit({"type": "restore", "reply": self._speaking.answer.number})

    def _cut(self, speaking: _Speaking, reason: str) -> None:
        speaking.answer.cancel()
        speaking.stop_by = self._clock() + _STOP_REPORT_S
        if not speaking.playback.begun:
            self._settle(speaking, cut=True)
            return
        self._emit(
            {
                "type": "stop",
                "reply": speaking.answer.number,
                "fade_ms": FADE_MS,
                "reason": reason,
            }
        )

    def _settle(self, speaking: _Speaking, cut: bool) -> None:
        """The agent's turn becomes history, as it was heard."""
        self._speaking = None
        answer, playback = speaking.answer, speaking.playback
        if cut:
            reported = playback.reported
            played = playback.position(self._clock()) if reported is None else reported
            cut = played < answer.num_samples or not answer.done
        else:
            played = playback.sent
        samples = answer.samples(played)
        played_s = len(samples) / SAMPLE_RATE
        self._voicebox.settle(answer, played_s if cut else None)
        if not played:
            self._emit({"type": "reply.dropped", "reply": answer.number})
            return
        whole = " ".join(answer.text.split())
        heard = " ".join(word for word, start, _ in answer.words if start < played_s)
        record = TurnRecord(speaking.turn, AGENT, heard if cut else whole, cut=cut)
        record.intended = whole if cut else ""
        record.voice = self.settings.voice
        record.timings = speaking.timings
        record.manner = measure_manner(samples, self.turns.manners(AGENT))
        self.turns.add(record, samples)
        self._emit({"type": "turn", "reply": answer.number, **record.public()})

    # What goes out

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
