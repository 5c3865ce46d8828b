"""A scripted user of the load test: types, speaks in real time, listens, and compares."""

import asyncio
import io
import json
import struct
import time
import wave
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from app.protocol import PROTOCOL, SAMPLE_RATE, parse_audio_chunk
from data.audio.pcm import to_int16
from data.errors import RepError

_FRAME = 480
_JITTER_S = 0.06  # the page's initial playback buffer
_LISTEN_S = 1.0  # between the end of a reply and the next turn
_ANSWER_S = 60.0
_OPEN_S = 10.0
_TAIL = SAMPLE_RATE * 150 // 1000  # silence that the server keeps after a turn
_NAMES = ("Anna", "Boris", "Clara", "David", "Emma", "Felix", "Greta", "Henry")
_TYPED = ("What is my name?", "Tell me about music.", "I had soup for dinner.", "It rains here.")


def name_of(index: int) -> str:
    """One word for each user, pronounceable for any number of them: Anna, ..., Annaboris, ..."""
    index, last = divmod(index, len(_NAMES))
    return _NAMES[last] if not index else name_of(index - 1) + _NAMES[last].lower()


@dataclass
class Outcome:
    """The outcome of one conversation.

    Attributes:
        name: stated in the first turn, asked for later.
        voice: the agent's voice.
        first_audio_ms, first_typed_ms: latency from the end of the user's speech, or from sending a
            typed turn, to the first audio of the reply.
        underruns: times at which a listener's buffer would have run empty.
        replies: their audio, each [T] at 24 kHz.
        texts: pairs of transcript and answer.
        unfinished: replies still being spoken at the end.
        compared, altered: turns downloaded and compared with what was sent or received, and those
            that differed.
    """

    name: str
    voice: str
    first_audio_ms: list[float] = field(default_factory=list)
    first_typed_ms: list[float] = field(default_factory=list)
    underruns: int = 0
    replies: list[np.ndarray] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    unfinished: int = 0
    compared: int = 0
    altered: int = 0
    errors: list[str] = field(default_factory=list)


class SimulatedUser:
    """See the module.

    Args:
        url: the server's URL.
        index: the user's index; determines name, voice and script.
        speech: recordings to play in turn, each [T] at 24 kHz; empty: all turns are typed. Every
            third turn is always typed.
    """

    def __init__(self, url: str, index: int, speech: list[np.ndarray], token: str = "") -> None:
        self._url = url.replace("http", "ws", 1) + "/v1/conversation"
        self._index, self._speech = index, speech
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.AsyncClient(base_url=url, headers=self._headers, timeout=_OPEN_S)
        self.outcome = Outcome(name_of(index), "")
        self._session = ""
        self._begun = 0.0
        self._queue: list[np.ndarray] = []
        self._sent: list[np.ndarray] = []  # int16, everything since the connection began
        self._reset()

    def _reset(self) -> None:
        self._received, self._first = 0, 0.0
        self._sound: list[np.ndarray] = []
        self._said, self._heard = "", ""
        self._over = asyncio.Event()
        self._speech_end: int | None = None
        self._asked_at = 0.0

    async def run(self, stop_at: float) -> Outcome:
        """Converses until the deadline."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException

        try:
            async with connect(
                self._url, additional_headers=self._headers, open_timeout=_OPEN_S, close_timeout=1
            ) as socket:
                await self._talk(socket, stop_at)
        except (OSError, RepError, WebSocketException, httpx.HTTPError, TimeoutError) as error:
            said = str(error) or type(error).__name__
            self.outcome.errors.append(f"{self.outcome.name}: {said}")
        finally:
            await self._client.aclose()
        return self.outcome

    def give_up(self) -> None:
        """Ends at the deadline: counts an unfinished reply, or reports a missing answer."""
        if self._received:
            self.outcome.unfinished += 1
        else:
            self.outcome.errors.append(f"{self.outcome.name}: no answer when the time was over")

    async def _talk(self, socket: Any, stop_at: float) -> None:
        start = {"type": "start", "protocol": PROTOCOL, "sample_rate": SAMPLE_RATE}
        await socket.send(json.dumps(start))
        session = json.loads(await asyncio.wait_for(socket.recv(), _OPEN_S))
        if session["type"] != "session":
            raise RepError(session.get("message", "no session"))
        self._session = session["session"]
        voices = [voice["name"] for voice in session["voices"]]
        self.outcome.voice = voices[self._index % len(voices)]
        await self._send(socket, type="settings", settings={"voice": self.outcome.voice})
        reader = asyncio.create_task(self._read(socket))
        microphone = asyncio.create_task(self._microphone(socket)) if self._speech else None
        try:
            number = 0
            while time.monotonic() < stop_at and not reader.done():
                self._reset()
                await self._say(socket, number)
                await asyncio.wait_for(self._over.wait(), _ANSWER_S)
                await asyncio.sleep(_LISTEN_S)
                number += 1
            await self._send(socket, type="end")
        finally:
            for task in (reader, microphone):
                if task is not None:
                    task.cancel()
        if reader.done() and not reader.cancelled() and reader.exception():
            raise RepError(f"the conversation broke off: {reader.exception()}")

    async def _say(self, socket: Any, number: int) -> None:
        if self._speech and number % 3:
            self._queue.append(self._speech[(self._index + number) % len(self._speech)])
            return
        typed = number // 3 if self._speech else number
        line = f"My name is {self.outcome.name}."
        if typed:
            line = _TYPED[(typed - 1) % len(_TYPED)]
        self._asked_at = time.monotonic()
        await self._send(socket, type="text", text=line)

    async def _microphone(self, socket: Any) -> None:
        """Sends a frame every 20 ms: queued speech, or silence."""
        self._begun = time.monotonic()
        current = np.zeros(0, np.float32)
        silence = 1e-4 * np.random.default_rng(self._index).standard_normal(SAMPLE_RATE)
        while True:
            if not len(current) and self._queue:
                current = self._queue.pop(0)
            frame, current = current[:_FRAME], current[_FRAME:]
            if len(frame) < _FRAME:
                frame = np.concatenate([frame, silence[: _FRAME - len(frame)]])
            self._sent.append(to_int16(frame))
            wait = self._begun + len(self._sent) * _FRAME / SAMPLE_RATE - time.monotonic()
            await asyncio.sleep(max(0.0, wait))
            await socket.send(self._sent[-1].tobytes())

    async def _read(self, socket: Any) -> None:
        async for message in socket:
            if isinstance(message, bytes):
                self._hear(message)
            else:
                await self._event(socket, json.loads(message))

    def _hear(self, message: bytes) -> None:
        now = time.monotonic()
        try:
            sound = parse_audio_chunk(message)
        except struct.error:
            self.outcome.errors.append("a sound message without a header")
            return
        if not self._received:
            self._first = now
            if self._speech_end is None:
                self.outcome.first_typed_ms.append(1000 * (now - self._asked_at))
            else:
                asked = self._begun + self._speech_end / SAMPLE_RATE
                self.outcome.first_audio_ms.append(1000 * (now - asked))
        elif now > self._first + _JITTER_S + self._received / SAMPLE_RATE:
            self.outcome.underruns += 1
            self._first = now - self._received / SAMPLE_RATE
        if sound.start != self._received:
            self.outcome.errors.append(f"sound at {sound.start}, expected {self._received}")
        self._received += len(sound.samples)
        self._sound.append(sound.samples)

    async def _event(self, socket: Any, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind in ("error", "notice"):
            self.outcome.errors.append(event["message"])
            self._over.set()
        elif kind == "reply.started":
            self._speech_end = event["speech_end"]
        elif kind == "reply.text":
            self._heard = event["text"]
        elif kind == "turn" and event["who"] == "user":
            self._said = event["text"]
            if event["seconds"]:
                await self._compare(event["turn"], self._spoken(event))
        elif kind == "turn":
            await self._answered(event)
        elif kind == "turn.dropped":
            self._over.set()
        elif kind == "reply.sent":
            left = self._first + _JITTER_S + self._received / SAMPLE_RATE - time.monotonic()
            asyncio.get_running_loop().call_later(
                max(0.0, left), lambda: asyncio.ensure_future(self._played(socket, event))
            )

    async def _played(self, socket: Any, event: dict[str, Any]) -> None:
        report = {"reply": event["reply"], "played": event["samples"], "finished": True}
        await self._send(socket, type="playback", **report)

    async def _answered(self, event: dict[str, Any]) -> None:
        sound = np.concatenate(self._sound)
        self.outcome.replies.append(sound)
        self.outcome.texts.append((self._said, self._heard))
        await self._compare(event["turn"], to_int16(sound))
        self._over.set()

    def _spoken(self, event: dict[str, Any]) -> np.ndarray:
        """The audio sent during the span of the turn that the server reported."""
        end = event["speech_end"] + _TAIL
        return np.concatenate(self._sent)[end - round(event["seconds"] * SAMPLE_RATE) : end]

    async def _compare(self, turn: int, expected: np.ndarray) -> None:
        """Whether the server's audio of a turn equals what went over this connection."""
        answer = await self._client.get(f"/v1/conversation/{self._session}/turns/{turn}.wav")
        with wave.open(io.BytesIO(answer.raise_for_status().content)) as file:
            kept = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        self.outcome.compared += 1
        same = len(kept) == len(expected) and len(kept) > 0
        if not same or np.abs(kept.astype(int) - expected).max() > 2:
            self.outcome.altered += 1

    async def _send(self, socket: Any, **message: Any) -> None:
        await socket.send(json.dumps(message))
