"""A conversation on a virtual clock: the chat's session with a microphone, a loudspeaker and an
agent that plays recorded audio.

Recognition runs immediately; on the virtual clock its result becomes known after the CPU time that
it took. Figures therefore depend on the processor but not on its load, and nothing waits.
"""

import heapq
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.active_reply import AudioChunk, Emitted
from app.replies import ChatMessage
from app.session import Session
from app.settings import SessionSettings
from app.turn_ending import TurnJudge
from data.audio import SAMPLE_RATE
from data.recognition.recognizer import Hypothesis, Names
from data.recognition.whisper import Transcript
from data.recognition.whisper_recognizer import WhisperRecognizer, WhisperUtterance

STEP = SAMPLE_RATE // 50


class Stopwatch:
    """Wall-clock and CPU seconds of the whole process since it was made."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        """The seconds so far: wall-clock, CPU."""
        return time.perf_counter() - self._began[0], time.process_time() - self._began[1]


class VirtualClock:
    """Seconds since the conversation began, and futures that complete at set times."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Future[Any], Any]] = []
        self._count = itertools.count()

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float, value: Any) -> "Future[Any]":
        """A future that completes with `value` in `seconds`."""
        future: Future[Any] = Future()
        heapq.heappush(self._due, (self.now + seconds, next(self._count), future, value))
        return future

    def advance(self, seconds: float) -> None:
        """Advances the clock and completes the futures that are due."""
        self.now += seconds
        while self._due and self._due[0][0] <= self.now:
            _, _, future, value = heapq.heappop(self._due)
            if not future.cancelled():
                future.set_result(value)


@dataclass(frozen=True)
class Recognition:
    """A final recognition requested at virtual time `at`, with the seconds until the one before it
    was done, and its real wall-clock and CPU seconds."""

    at: float
    transcript: Transcript
    waited_s: float
    wall_s: float
    cpu_s: float


class TimedRecognizer:
    """The chat's Whisper recogniser on a virtual clock: a `Recognizer` and a `QuickRecognizer`.

    Attributes:
        taken: all final recognitions, including those whose result was dropped.
        hypotheses: quick recognitions of speech over the agent.
    """

    name = "whisper"
    needs_whole_turn = True
    biasable = False
    caveat = ""

    def __init__(
        self,
        inner: WhisperRecognizer,
        clock: VirtualClock,
        stopwatch: Callable[[], Stopwatch] = Stopwatch,
    ) -> None:
        self.taken: list[Recognition] = []
        self.hypotheses: list[Hypothesis] = []
        self.languages = inner.languages
        self._inner, self._clock, self._stopwatch = inner, clock, stopwatch
        self._free_at = self._looked_at = 0.0  # when the final and the partial ones are done

    def open(
        self,
        language: str | None = None,
        times: bool = False,
        names: Names = (),
        interim: bool = True,
    ) -> WhisperUtterance:
        """See `Recognizer`."""
        return WhisperUtterance(self, language, times, names, interim)

    @property
    def idle(self) -> bool:
        """See `WhisperRecognizer`."""
        return self._clock.now >= max(self._free_at, self._looked_at)

    def submit(
        self,
        samples: np.ndarray,
        language: str | None,
        final: bool,
        times: bool,
        names: Names = (),
        given_up: Callable[[], bool] = bool,
        drafted: Callable[[str], object] = bool,
    ) -> "Future[Transcript]":
        """Recognises samples `[T]` at 24 kHz; the future completes after the CPU time taken, if
        final counted from the end of the final one before it, which ends with its stage once it
        is given up."""
        drafts: list[tuple[float, str]] = []
        stages: list[float] = []
        stopwatch = self._stopwatch()
        found = self._inner.submit(
            samples, language, final=final, times=False,
            given_up=lambda: bool(stages.append(stopwatch.read()[1])),
            drafted=lambda text: drafts.append((stopwatch.read()[1], text)),
        ).result()  # fmt: skip
        wall_s, cpu_s = stopwatch.read()
        now = self._clock.now
        if not final:
            self._looked_at = now + cpu_s
            return self._clock.later(cpu_s, found)
        waited_s = max(0.0, self._free_at - now)
        self._free_at = done_at = now + waited_s + cpu_s
        for after_s in stages:
            self._clock.later(waited_s + after_s, given_up).add_done_callback(
                lambda stage: self._stop(done_at, stage.result())
            )
        self.taken.append(Recognition(now, found, waited_s, wall_s, cpu_s))
        for after_s, text in drafts:
            self._clock.later(waited_s + after_s, text).add_done_callback(
                lambda future: drafted(future.result())
            )
        return self._clock.later(waited_s + cpu_s, found)

    def _stop(self, done_at: float, given_up: Callable[[], bool]) -> None:
        """A stage has ended of the recognition that would be done at `done_at`."""
        if self._free_at == done_at and given_up():
            self._free_at = self._clock.now

    def recognise_quickly(
        self, samples: np.ndarray, language: str, whole: bool
    ) -> "Future[Hypothesis]":
        """See `QuickRecognizer`."""
        stopwatch = self._stopwatch()
        self.hypotheses.append(self._inner.recognise_quickly(samples, language, whole).result())
        return self._clock.later(stopwatch.read()[1], self.hypotheses[-1])

    def close(self) -> None:
        """Does nothing: the model is shared."""


class TimedJudge(TurnJudge):
    """Smart Turn on a virtual clock.

    Attributes:
        judged: (time, probability) of every judgement.
    """

    def __init__(self, inner: TurnJudge, clock: VirtualClock) -> None:
        self.judged: list[tuple[float, float]] = []
        self._inner, self._clock = inner, clock

    def judge(self, samples: np.ndarray) -> "Future[float]":
        stopwatch = Stopwatch()
        found = self._inner.judge(samples).result()
        self.judged.append((self._clock.now, found))
        return self._clock.later(stopwatch.read()[1], found)

    def warm_up(self) -> None:
        """Takes no time on the clock: the chat's is done long before its first judgement."""
        self._inner.judge(np.zeros(STEP, np.float32)).result()

    def close(self) -> None:
        """Does nothing: the model is shared."""


@dataclass(frozen=True)
class _Voice:
    name: str = "recorded"


class _RecordedSpeaker:
    """A speaker whose only reply is a recording `[T]`, streamed in frames."""

    sample_rate = SAMPLE_RATE
    predictors = ("recorded",)
    words: Sequence[tuple[str, float, float]] = ()

    def __init__(self, sound: np.ndarray) -> None:
        self.voices = {"recorded": _Voice()}
        self._sound, self._cancelled = sound, False

    def open_dialogue(
        self, predictor: str | None = None, abandoned: Callable[[], bool] = bool
    ) -> None: ...

    def add_turn(self, dialogue: Any, who: int, text: str, samples: np.ndarray | None) -> None: ...

    def take_back_turn(self, dialogue: Any) -> None: ...

    def warm_up(self, predictor: str | None = None) -> None: ...

    def speak(
        self, dialogue: Any, text: Any, voice: Any, options: Any = None
    ) -> "_RecordedSpeaker":
        for _ in text:
            pass
        return self

    def __iter__(self) -> Iterator[np.ndarray]:
        for start in range(0, len(self._sound), 960):
            if self._cancelled:
                return
            yield self._sound[start : start + 960]

    def cancel(self) -> None:
        self._cancelled = True

    def commit(self, played_s: float | None = None) -> None: ...


class _FixedResponder:
    """A responder that always answers with the same text."""

    name = "recorded"

    def __init__(self, text: str) -> None:
        self._text = text

    def reply(self, history: Sequence[ChatMessage]) -> Iterable[str]:
        yield self._text


class Conversation:
    """One session with a user at the microphone and a loudspeaker near it.

    Args:
        recognizer, judge: shared by all conversations.
        settings: the session's settings.
        agent: samples `[T]` of the agent's answer, which `begin` starts.
        echo: gain, and delay in seconds, of the loudspeaker's signal in the microphone.
        text: the answer's text.

    Attributes:
        clock: the virtual clock.
        recognizer, judge: the given ones on this clock.
        events: everything emitted except audio, each with its virtual time under "at".
    """

    def __init__(
        self,
        recognizer: WhisperRecognizer,
        judge: TurnJudge,
        settings: SessionSettings,
        agent: np.ndarray | None = None,
        echo: tuple[float, float] = (0.0, 0.0),
        text: str = "Recorded words.",
    ) -> None:
        self.clock = VirtualClock()
        self.recognizer = TimedRecognizer(recognizer, self.clock)
        self.judge = TimedJudge(judge, self.clock)
        self.events: list[dict[str, Any]] = []
        self._gain, self._delay = echo[0], round(echo[1] * SAMPLE_RATE)
        self._out = np.zeros(self._delay, np.float32)  # played, and not yet in the microphone
        self._buffer = np.zeros(0, np.float32)
        self._reply = self._played = 0
        self._all_sent = False
        self._volume = 1.0
        speaker: Any = _RecordedSpeaker(np.zeros(0, np.float32) if agent is None else agent)
        responders: Any = {"recorded": _FixedResponder(text)}
        self._session = Session(
            "measured", speaker, self.recognizer, responders, settings, self._receive,
            clock=self.clock, judge=self.judge,
        )  # fmt: skip

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def begin(self) -> None:
        """Makes the agent speak, by a typed user message."""
        self._session.write("Go on.")

    def push_audio(self, samples: np.ndarray) -> None:
        """Feeds the user's samples `[T]` to the microphone, mixed with the agent's echo."""
        for start in range(0, len(samples) - STEP + 1, STEP):
            echo, self._out = self._out[:STEP], self._out[STEP:]
            sound = samples[start : start + STEP].copy()
            sound[: len(echo)] += self._gain * echo
            self._session.push_audio(sound)
            self.clock.advance(STEP / SAMPLE_RATE)
            self._play()
            self._session.tick()
            self._wait_for_threads()

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one kind."""
        return [event for event in self.events if event["type"] == kind]

    def turns(self) -> list[dict[str, Any]]:
        """The user's transcribed turns."""
        return [t for t in self.of("turn") if t["who"] == "user" and not t.get("typed")]

    def _wait_for_threads(self) -> None:
        while (active := self._session._active) is not None:
            if active.answer.done or active.answer.waiting or active.stop_by is not None:
                return
            time.sleep(0.001)

    def _receive(self, out: Emitted) -> None:
        if isinstance(out, AudioChunk):
            if out.reply != self._reply:
                self._reply, self._played, self._all_sent = out.reply, 0, False
                self._buffer = np.zeros(0, np.float32)
            self._buffer = np.concatenate([self._buffer, out.samples])
            return
        self.events.append({**out, "at": self.clock.now})
        if out["type"] == "stop":
            self._buffer, self._volume = self._buffer[:0], 1.0
            self._session.report(out["reply"], self._played, finished=False, stopped=True)
        elif out["type"] == "reply.sent":
            self._all_sent = True
        elif out["type"] in ("duck", "restore"):
            self._volume = out.get("gain", 1.0)

    def _play(self) -> None:
        if self._volume == 0 and len(self._buffer):  # playback is held
            self._out = np.concatenate([self._out, np.zeros(STEP, np.float32)])
            return
        now, self._buffer = self._buffer[:STEP], self._buffer[STEP:]
        self._played += len(now)
        silence = np.zeros(STEP - len(now), np.float32)
        self._out = np.concatenate([self._out, now * self._volume, silence])
        if len(now):
            finished = self._all_sent and not len(self._buffer)
            self._session.report(self._reply, self._played, finished, stopped=False)
