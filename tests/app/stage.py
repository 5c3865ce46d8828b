"""A session on a stage: a clock that the test moves, a listener who plays what is sent, a
recogniser that is told what to hear."""

import time
from concurrent.futures import Future
from typing import Any

import numpy as np

from app.active_reply import AudioChunk
from app.scripted import ScriptedResponder
from app.session import Session
from app.settings import SessionSettings
from tests.app.fake_speaker import RATE, FakeSpeaker

STEP_S = 0.02
OPEN: list["Stage"] = []


class FakeUtterance:
    def __init__(self, recognizer: "FakeRecognizer") -> None:
        self.partial = self.draft = ""
        self.words: Any = None
        self.confidences: Any = None
        self.language = "en"
        self.num_samples = 0
        self.aborted = False
        self._recognizer = recognizer

    def push(self, samples: np.ndarray) -> None:
        self.num_samples += len(samples)

    def finish(self) -> "Future[str]":
        future: Future[str] = Future()
        texts = self._recognizer.texts
        if self._recognizer.error is not None:
            future.set_exception(self._recognizer.error)
        else:
            future.set_result(texts.pop(0) if texts else "")
            self.words = self._recognizer.words
            self.confidences = self._recognizer.confidences
        return future

    def abort(self) -> None:
        self.aborted = True


class FakeRecognizer:
    name = "told"
    needs_whole_turn = False
    languages = ("en",)
    biasable = True
    caveat = ""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.error: Exception | None = None
        self.words: Any = None
        self.confidences: Any = None
        self.opened: list[FakeUtterance] = []
        self.names: tuple[str, ...] = ()
        self.language: str | None = None

    def open(
        self,
        language: str | None = None,
        times: bool = False,
        names: Any = (),
        interim: bool = True,
    ) -> FakeUtterance:
        self.opened.append(FakeUtterance(self))
        self.names, self.language = names, language
        return self.opened[-1]

    def close(self) -> None: ...


class Stage:
    """One session with its listener.

    Attributes:
        heard: everything that came out of the loudspeaker, [T], silence included.
        events: emitted dicts, each with the time at which it was emitted under "at".
    """

    def __init__(
        self,
        *texts: str,
        speaker: FakeSpeaker | None = None,
        responder: Any = None,
        settings: SessionSettings | None = None,
        reports: bool = True,
        judge: Any = None,
        recognizer: "FakeRecognizer | None" = None,
    ) -> None:
        self.now = 100.0
        self.begun = self.now
        self.speaker = speaker or FakeSpeaker()
        self.recognizer = recognizer or FakeRecognizer(*texts)
        self.events: list[dict[str, Any]] = []
        self.heard: list[np.ndarray] = []
        self.patient = True  # waits for the threads, so that time has nothing to do with speed
        self._reports = reports
        self._buffer = np.zeros(0, np.float32)
        self._reply, self._played, self._all_sent = 0, 0, False
        self._gain = 1.0
        self.session = Session(
            "stage-session",
            self.speaker,
            self.recognizer,
            {"told": responder or ScriptedResponder()},
            settings or SessionSettings(),
            self._receive,
            clock=lambda: self.now,
            judge=judge,
        )
        OPEN.append(self)

    def say(self, samples: np.ndarray) -> None:
        """The user's sound, in steps of 20 ms, in real time by the stage's clock."""
        step = int(STEP_S * RATE)
        for start in range(0, len(samples) - step + 1, step):
            self.session.push_audio(samples[start : start + step])
            self._advance()

    def wait(self, seconds: float) -> None:
        """Time passes, without a microphone."""
        for _ in range(round(seconds / STEP_S)):
            self.session.tick()
            self._advance()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        found = self.of(kind)
        assert len(found) == 1, [event["type"] for event in self.events]
        return found[0]

    def sound(self) -> np.ndarray:
        return np.concatenate(self.heard) if self.heard else np.zeros(0, np.float32)

    def _advance(self) -> None:
        self.now += STEP_S
        self._play(int(STEP_S * RATE))
        if self.patient:
            self._wait_for_threads()

    def _wait_for_threads(self) -> None:
        for _ in range(30_000):
            active = self.session._active
            if active is None or active.answer.done or active.answer.waiting:
                return
            time.sleep(0.001)

    def _receive(self, out: dict[str, Any] | AudioChunk) -> None:
        if isinstance(out, AudioChunk):
            if out.reply != self._reply:
                self._reply, self._played, self._all_sent = out.reply, 0, False
                self._buffer = np.zeros(0, np.float32)
            assert out.start == self._played + len(self._buffer), "sound is missing or doubled"
            self._buffer = np.concatenate([self._buffer, out.samples])
            return
        self.events.append({**out, "at": self.now})
        if out["type"] == "stop":
            self._buffer = self._buffer[:0]
            self._gain = 1.0
            if self._reports:
                self.session.report(out["reply"], self._played, finished=False, stopped=True)
        elif out["type"] == "reply.sent":
            self._all_sent = True
        elif out["type"] in ("duck", "restore"):
            self._gain = out.get("gain", 1.0)

    def _play(self, count: int) -> None:
        if self._gain == 0 and len(self._buffer):  # playback is held
            self.heard.append(np.zeros(count, np.float32))
            return
        now, self._buffer = self._buffer[:count], self._buffer[count:]
        self._played += len(now)
        self.heard.append(
            np.concatenate([now * self._gain, np.zeros(count - len(now), np.float32)])
        )
        if self._reports and len(now):
            finished = self._all_sent and not len(self._buffer)
            self.session.report(self._reply, self._played, finished, stopped=False)
