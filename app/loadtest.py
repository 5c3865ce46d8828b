"""`launch.py loadtest`: scripted conversations with a running server, at the pace of speech.

They go over the real WebSocket. The last line on stdout is one JSON object.
"""

import argparse
import asyncio
import json
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from app.protocol import PROTOCOL, SAMPLE_RATE, parse_sound
from data.audio import read_audio
from data.errors import InputError, RepError

_FRAME = 480
_JITTER_S = 0.06  # what the page keeps in its buffer before it begins
_LISTEN_S = 1.0  # between the end of a reply and the next turn


@dataclass
class Outcome:
    """What one conversation saw.

    Attributes:
        first_audio_ms: end of the user's speech to the first sound, of every reply.
        underruns: moments at which the buffer of a listener would have been empty.
        texts: what was understood, and what was answered.
        pitches: the strongest frequency of each reply, to tell voices apart.
    """

    name: str
    voice: str
    first_audio_ms: list[float] = field(default_factory=list)
    underruns: int = 0
    replies: int = 0
    errors: list[str] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    pitches: list[float] = field(default_factory=list)


def main(argv: list[str]) -> int:
    """Drives conversations and prints what they measured."""
    parser = argparse.ArgumentParser(prog="launch.py loadtest", description=main.__doc__)
    add = parser.add_argument
    add("--url", default="http://127.0.0.1:7860", help="of the running server")
    add("--token", default="")
    add("--sessions", type=int, default=4)
    add("--minutes", type=float, default=1.0)
    add("--speech", type=Path, nargs="*", default=[], help="WAVs to say in turn; none: typed turns")
    args = parser.parse_args(argv)
    if args.sessions < 1 or args.minutes <= 0:
        raise InputError("--sessions must be 1 or more and --minutes more than 0")
    speech = [read_audio(path, max_seconds=30) for path in args.speech]
    outcomes, memory = asyncio.run(
        drive(args.url, args.sessions, args.minutes * 60, speech, args.token)
    )
    summary = summarise(outcomes, memory)
    print(json.dumps(summary))
    return 0 if not summary["errors"] and not summary["mixed"] else 1


async def drive(
    url: str, sessions: int, seconds: float, speech: list[np.ndarray], token: str = ""
) -> tuple[list[Outcome], list[float]]:
    """Runs all conversations at once.

    Returns:
        What each saw, and the server's resident memory in MB each 10 s where it tells it.
    """
    stop_at = time.monotonic() + seconds
    talkers = [
        asyncio.create_task(_Talker(url, index, speech, token).run(stop_at))
        for index in range(sessions)
    ]
    watcher = asyncio.create_task(_watch_memory(url, token, stop_at))
    return list(await asyncio.gather(*talkers)), await watcher


def summarise(outcomes: list[Outcome], memory_mb: list[float]) -> dict[str, Any]:
    """Figures of all conversations together."""
    first = sorted(ms for outcome in outcomes for ms in outcome.first_audio_ms)
    return {
        "sessions": len(outcomes),
        "replies": sum(outcome.replies for outcome in outcomes),
        "first_audio_ms_p50": _percentile(first, 50),
        "first_audio_ms_p95": _percentile(first, 95),
        "underruns": sum(outcome.underruns for outcome in outcomes),
        "mixed": mixed(outcomes),
        "memory_mb": [round(value, 1) for value in memory_mb],
        "errors": [error for outcome in outcomes for error in outcome.errors],
    }


def mixed(outcomes: list[Outcome]) -> int:
    """Answers that hold another conversation's name."""
    names = {outcome.name for outcome in outcomes}
    return sum(
        any(other in answer for other in names - {outcome.name})
        for outcome in outcomes
        for _, answer in outcome.texts
    )


def _percentile(values: list[float], percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 1) if values else None


_NAMES = ("Anna", "Boris", "Clara", "David", "Emma", "Felix", "Greta", "Henry")
_LINES = (
    "Tell me about music.",
    "I had soup for dinner.",
    "What is my name?",
    "It rains a lot here.",
    "I went to work by train.",
    "My sister has two cats.",
)


class _Talker:
    """One scripted person."""

    def __init__(self, url: str, index: int, speech: list[np.ndarray], token: str) -> None:
        self._url = url.replace("http", "ws", 1).rstrip("/") + "/v1/conversation"
        self._index, self._speech = index, speech
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.outcome = Outcome(_NAMES[index % len(_NAMES)] + "x" * (index // len(_NAMES)), "")
        self._begun = 0.0
        self._reset()

    def _reset(self) -> None:
        self._received, self._sound, self._first = 0, [], 0.0
        self._said, self._heard = "", ""
        self._over = asyncio.Event()
        self._speech_end: int | None = None
        self._asked_at = 0.0

    async def run(self, stop_at: float) -> Outcome:
        """Talks until it is time to stop."""
        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException

        try:
            async with connect(self._url, additional_headers=self._headers) as socket:
                await self._talk(socket, stop_at)
        except (OSError, WebSocketException, RepError, TimeoutError) as error:
            self.outcome.errors.append(f"{self.outcome.name}: {type(error).__name__}: {error}")
        return self.outcome

    async def _talk(self, socket: Any, stop_at: float) -> None:
        await socket.send(
            json.dumps({"type": "start", "protocol": PROTOCOL, "sample_rate": SAMPLE_RATE})
        )
        session = json.loads(await socket.recv())
        if session["type"] != "session":
            raise RepError(session.get("message", "no session"))
        voices = [voice["name"] for voice in session["voices"]]
        self.outcome.voice = voices[self._index % len(voices)]
        choice = {"voice": self.outcome.voice}
        await socket.send(json.dumps({"type": "settings", "settings": choice}))
        reader = asyncio.create_task(self._read(socket))
        self._queue: list[np.ndarray] = []
        microphone = asyncio.create_task(self._microphone(socket)) if self._speech else None
        number = 0
        while time.monotonic() < stop_at and not reader.done():
            self._reset()
            await self._say(socket, number)
            await asyncio.wait_for(self._over.wait(), 60)
            self._finish_reply()
            await asyncio.sleep(_LISTEN_S)
            number += 1
        for task in (reader, microphone):
            if task is not None:
                task.cancel()
        await socket.send(json.dumps({"type": "end"}))

    async def _say(self, socket: Any, number: int) -> None:
        if self._speech:
            self._queue.append(self._speech[(self._index + number) % len(self._speech)])
            return
        line = f"My name is {self.outcome.name}." if number == 0 else _LINES[number % len(_LINES)]
        self._asked_at = time.monotonic()
        await socket.send(json.dumps({"type": "text", "text": line}))

    async def _microphone(self, socket: Any) -> None:
        """Sends a frame each 20 ms: speech that is waiting, or else silence."""
        self._begun = time.monotonic()
        sent, current = 0, np.zeros(0, np.float32)
        silence = 1e-4 * np.random.default_rng(self._index).standard_normal(SAMPLE_RATE)
        while True:
            if not len(current) and self._queue:
                current = self._queue.pop(0)
            frame, current = current[:_FRAME], current[_FRAME:]
            if len(frame) < _FRAME:
                frame = np.concatenate([frame, silence[: _FRAME - len(frame)]])
            sent += _FRAME
            wait = self._begun + sent / SAMPLE_RATE - time.monotonic()
            await asyncio.sleep(max(0.0, wait))
            await socket.send((frame * 32767).astype("<i2").tobytes())

    async def _read(self, socket: Any) -> None:
        async for message in socket:
            if isinstance(message, bytes):
                await self._hear(message)
            else:
                await self._event(socket, json.loads(message))

    async def _hear(self, message: bytes) -> None:
        now = time.monotonic()
        try:
            sound = parse_sound(message)
        except struct.error:
            self.outcome.errors.append("a sound message without a header")
            return
        if not self._received:
            self._first = now
            asked = self._asked_at
            if self._speech_end is not None:
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
        if kind == "error":
            self.outcome.errors.append(event["message"])
            self._over.set()
        elif kind == "reply.started":
            self._speech_end = event["speech_end"]
        elif kind == "reply.text":
            self._heard = event["text"]
        elif kind == "turn" and event["who"] == "user":
            self._said = event["text"]
        elif kind == "turn.dropped":
            self._over.set()
        elif kind == "reply.sent":
            left = self._first + _JITTER_S + self._received / SAMPLE_RATE - time.monotonic()
            asyncio.get_running_loop().call_later(
                max(0.0, left), lambda: asyncio.ensure_future(self._played(socket, event))
            )

    async def _played(self, socket: Any, event: dict[str, Any]) -> None:
        report = {"type": "playback", "reply": event["reply"], "played": event["samples"]}
        await socket.send(json.dumps({**report, "finished": True}))
        self._over.set()

    def _finish_reply(self) -> None:
        if not self._sound:
            return
        self.outcome.replies += 1
        self.outcome.texts.append((self._said, self._heard))
        sound = np.concatenate(self._sound)
        spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
        self.outcome.pitches.append(float(np.argmax(spectrum) * SAMPLE_RATE / len(sound)))


async def _watch_memory(url: str, token: str, stop_at: float) -> list[float]:
    """The server's resident memory from `/metrics`."""
    found: list[float] = []
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(headers=headers) as client:
        while time.monotonic() < stop_at:
            try:
                text = (await client.get(url.rstrip("/") + "/metrics")).text
            except httpx.HTTPError:
                text = ""
            for line in text.splitlines():
                if line.startswith("repartee_memory_bytes "):
                    found.append(float(line.split()[1]) / 1e6)
            await asyncio.sleep(min(10.0, max(0.0, stop_at - time.monotonic())))
    return found
