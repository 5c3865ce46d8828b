"""A client of WebRTC calls, like a browser's."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import httpx
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

RATE = 24_000
_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


class Microphone(MediaStreamTrack):
    """Sends what it is given, then silence, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.samples = np.zeros(0, np.float32)
        self._at = 0
        self._began = 0.0

    async def recv(self) -> AudioFrame:
        self._began = self._began or time.monotonic()
        await asyncio.sleep(max(0.0, self._began + self._at / RATE - time.monotonic()))
        piece, self.samples = self.samples[:480], self.samples[480:]
        piece = np.pad(piece, (0, 480 - len(piece)))
        frame = AudioFrame(format="s16", layout="mono", samples=480)
        frame.planes[0].update((piece * 32767).astype("<i2").tobytes())
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), self._at
        self._at += 480
        return frame


class Caller:
    """A client like a browser's: a microphone, a loudspeaker and a data channel."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = Microphone()
        self.peer.addTrack(self.microphone)
        self.data = self.peer.createDataChannel("oai-events")
        self.events: list[dict[str, Any]] = []
        self.heard: list[np.ndarray] = []
        self._came: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.data.on("message", lambda text: self._came.put_nowait(json.loads(text)))
        self.peer.on("track", lambda track: asyncio.ensure_future(self._listen(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
        with contextlib.suppress(MediaStreamError):
            while True:
                for frame in resampler.resample(await track.recv()):
                    self.heard.append(frame.to_ndarray()[0])

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def call(self, place: str, **options: Any) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            url = f"http://{place}/v1/realtime/calls"
            if not options:
                headers = {"Content-Type": "application/sdp"}
                options = {"content": await self.offer(), "headers": headers}
            answer = await http.post(url, **options)
        assert answer.status_code == 201, answer.text
        assert answer.headers["content-type"].startswith("application/sdp")
        await self.peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        return answer

    def send(self, kind: str, **fields: Any) -> None:
        self.data.send(json.dumps({"type": kind, **fields}))

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            event = await asyncio.wait_for(self._came.get(), 30)
            self.events.append(event)
            _EVENT.validate_python(event)
            if event["type"] == kind:
                return event

    async def hears(self, enough: Callable[[float], bool]) -> None:
        """Waits until the RMS of the last 200 ms heard is as wanted."""
        async with asyncio.timeout(20):
            while not enough(self._loudness()):
                await asyncio.sleep(0.05)

    def _loudness(self) -> float:
        sound = np.concatenate([np.zeros(1, np.float32), *self.heard[-10:]])
        return float(np.sqrt(np.mean(sound**2)))
