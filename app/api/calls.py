"""`POST /v1/realtime/calls`: OpenAI's realtime API over WebRTC.

The client's audio and the agent's travel as Opus in RTP, events over the data channel.
"""

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response
from starlette.websockets import WebSocketDisconnect, WebSocketState

from app.active_reply import Emitted
from app.api.channel import Channel, Encoded
from app.api.client_secrets import ClientSecrets
from app.api.errors import ApiError
from app.api.realtime import SOUND_AHEAD_S, SOUND_RATE, RealtimeClient
from app.api.realtime_events import Events
from app.api.realtime_settings import RealtimeSettings, asked_settings
from app.api.response_headers import LOCATION, RETRY_AFTER
from app.hub import Hub
from app.protocol import SAMPLE_RATE, ProtocolError, RateLimit, read_object
from app.websocket import MAX_REALTIME_BYTES

logger = logging.getLogger(__name__)

_CONNECT_S = 20.0
_MAX_SDP = 1 << 16
_MAX_CANDIDATES = 50  # a browser has one for each of its network addresses
_MAX_BUFFERED = 1 << 20  # bytes on their way to a client that reads slowly
_MAX_UNREAD = 1 << 24  # bytes received and not read yet: a data channel has no flow control
_POLL_S = 0.02
_MEDIA = re.compile(r"^m=(\w+)", re.M)
_CANDIDATE_PORT = re.compile(r"^a=candidate:\S+ \S+ \S+ \S+ \S+ (\S+)|^a=candidate:", re.M)
_NEEDED = ("a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:")  # aiortc would wait for them forever


class DataChannelSocket:
    """A WebRTC data channel with the interface of a WebSocket, as `Channel` uses it."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self._data: Any = None
        self._received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._unread = 0
        self._closed = False

    def attach(self, data: Any) -> None:
        """Takes the client's open RTCDataChannel; closes any that it opens after the first."""
        if self._data is not None or self._closed:
            data.close()
            return
        self._data = data
        data.on("message", self._take)
        data.on("close", self.lose)
        self.opened.set()

    def _take(self, content: str | bytes) -> None:
        self._unread += len(content)
        if self._closed or len(content) > MAX_REALTIME_BYTES or self._unread > _MAX_UNREAD:
            self.lose()
            return
        key = "text" if isinstance(content, str) else "bytes"
        self._received.put_nowait({"type": "websocket.receive", key: content})

    def lose(self) -> None:
        """Reports the connection as closed."""
        if not self._closed:
            self._closed = True
            self._received.put_nowait({"type": "websocket.disconnect", "code": 1006})

    @property
    def client_state(self) -> WebSocketState:
        return WebSocketState.DISCONNECTED if self._closed else WebSocketState.CONNECTED

    async def receive(self) -> dict[str, Any]:
        """The next message, in ASGI's form."""
        message = await self._received.get()
        self._unread -= len(message.get("text") or message.get("bytes") or "")
        return message

    async def send_text(self, content: str) -> None:
        """Sends text once the client has read most of what was sent before.

        Raises:
            WebSocketDisconnect: the connection is closed.
        """
        while not self._closed and self._data.bufferedAmount > _MAX_BUFFERED:
            await asyncio.sleep(_POLL_S)
        if self._closed or self._data.readyState != "open":
            raise WebSocketDisconnect(1006)
        self._data.send(content)

    async def send_bytes(self, content: bytes) -> None:
        """Never called: events are text."""
        raise AssertionError

    async def close(self, code: int = 1000) -> None:
        """Closes the data channel."""
        self.lose()
        self._data.close()


class _Call:
    """One call, from the offer to its end.

    Args:
        hub: opens the session.
        settings: the session's initial settings.
    """

    def __init__(self, hub: Hub, settings: RealtimeSettings) -> None:
        # aiortc takes half a second to import, and most servers never have a call
        from aiortc import RTCConfiguration, RTCPeerConnection

        from app.api.call_audio import AgentTrack

        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._socket, self._events = DataChannelSocket(), Events(settings, with_audio=False)
        rate = RateLimit(SOUND_RATE, SOUND_AHEAD_S)
        self._channel = Channel(hub, self._socket, self._encode, park=False, sound_rate=rate)
        self._track = AgentTrack(self._report, self._tell)
        self._listening: asyncio.Task[None] | None = None
        self._peer.on("track", self._on_track)
        self._peer.on("datachannel", self._socket.attach)
        self._peer.on("connectionstatechange", self._on_state)

    async def answer(self, offer: str) -> str:
        """The SDP answer to an offer.

        Raises:
            ApiError: the offer is invalid.
        """
        from aiortc import RTCSessionDescription

        self._peer.addTrack(self._track)
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
                await self._peer.setLocalDescription(await self._peer.createAnswer())
        except Exception as error:  # aiortc does not say what its parser raises
            logger.info("refused a call's offer: %r", error)
            raise ApiError("the SDP offer is not valid", code="invalid_offer") from None
        return self._peer.localDescription.sdp

    async def run(self) -> None:
        """Connects, and runs until either side hangs up."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._socket.opened.wait()
            await self._channel.run(RealtimeClient(self._channel, self._events, True).read)
        except TimeoutError:
            logger.info("a call's data channel did not open within %.0f s", _CONNECT_S)
        finally:
            await self.close()

    async def close(self) -> None:
        """Hangs up."""
        self._socket.lose()
        if self._listening is not None:
            self._listening.cancel()
        await self._peer.close()

    def _on_track(self, track: Any) -> None:
        if self._listening is None:
            self._listening = asyncio.ensure_future(self._listen(track))

    def _on_state(self) -> None:
        if self._peer.connectionState in ("failed", "closed"):
            self._socket.lose()

    async def _listen(self, track: Any) -> None:
        """Passes the client's audio to the session; what comes before it is open is dropped."""
        from aiortc.mediastreams import MediaStreamError
        from av import AudioResampler

        resampler = AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        with contextlib.suppress(MediaStreamError):
            while True:
                pieces = resampler.resample(await track.recv())
                self._hear([piece.to_ndarray()[0] for piece in pieces])

    def _hear(self, pieces: list[np.ndarray]) -> None:
        for samples in pieces:
            # a client that sends faster than in real time loses the excess
            if self._channel.session is None or self._channel.sound_wait_s(len(samples)) > 0:
                continue
            try:
                self._channel.push_audio(samples, in_time=True)
            except ProtocolError as error:  # a turn that is too long
                with contextlib.suppress(ProtocolError):
                    self._channel.refuse(error)

    def _encode(self, message: Emitted) -> Iterator[Encoded]:
        """The events of a message. Audio goes to the track instead."""
        self._track.follow(message)
        return self._events.encode(message)

    def _report(self, reply: int, played: int, finished: bool, stopped: bool) -> None:
        if self._channel.session is not None:
            self._channel.session.report(reply, played, finished, stopped)

    def _tell(self, what: str, reply: int) -> None:
        name = self._events.responses.name_of(reply)
        event = {"type": f"output_audio_buffer.{what}", "response_id": name}
        self._channel.emit({"type": "realtime", "event": event})


class Calls:
    """The calls of a server.

    Args:
        hub: opens the sessions.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._calls: dict[str, asyncio.Task[None]] = {}
        self._answering = 0

    async def begin(self, offer: str, settings: RealtimeSettings) -> tuple[str, str]:
        """Answers an offer; returns the call's id and the SDP answer.

        Raises:
            ApiError: the offer is invalid, or there are too many calls.
        """
        _check(offer)
        most = self._hub.settings.max_sessions
        if len(self._calls) + self._answering >= most:
            message = f"all {most} calls are in use; try again in a minute"
            headers = {RETRY_AFTER: "60"}
            raise ApiError(message, status=429, code="busy", headers=headers)
        name, call = f"rtc_{secrets.token_hex(12)}", _Call(self._hub, settings)
        self._answering += 1
        try:
            answer = await call.answer(offer)
        except BaseException:
            await call.close()
            raise
        finally:
            self._answering -= 1
        task = self._calls[name] = asyncio.create_task(call.run())
        task.add_done_callback(lambda _: self._calls.pop(name, None))
        return name, answer

    async def hang_up(self, name: str) -> None:
        """Ends a call; raises ApiError if there is none with this id."""
        task = self._calls.get(name)
        if task is None:
            raise ApiError("there is no such call; it may have ended", status=404, code="not_found")
        task.cancel()
        await asyncio.wait([task])

    async def close(self) -> None:
        """Ends all calls."""
        tasks = list(self._calls.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _check(offer: str) -> None:
    """Raises ApiError for an offer that aiortc would take, or would not say what is wrong with."""
    kinds = sorted(_MEDIA.findall(offer))
    wrong = ""
    if kinds != ["application", "audio"]:
        found = ", ".join(kinds)[:100] or "nothing"
        wrong = f"must have one audio stream and a data channel, not {found}"
    elif missing := [line for line in _NEEDED if line not in offer]:
        wrong = f"is not valid: it has no {', '.join(missing)}"
    ports = _CANDIDATE_PORT.findall(offer)
    if not wrong and len(ports) > _MAX_CANDIDATES:
        wrong = f"has {len(ports)} ICE candidates; at most {_MAX_CANDIDATES} are accepted"
    odd = [port for port in ports if not (port.isdecimal() and int(port[:6]) < 1 << 16)]
    if not wrong and odd:
        wrong = f"is not valid: {odd[0][:20]!r} is no port of an ICE candidate"
    if wrong:
        raise ApiError(f"the SDP offer {wrong}", code="invalid_offer")


def calls_router(hub: Hub, calls: Calls, client_secrets: ClientSecrets) -> APIRouter:
    """Routes under `/v1/realtime/calls`."""
    router = APIRouter()

    @router.post("/v1/realtime/calls")
    async def begin(request: Request) -> Response:
        offer, session = await _read(request)
        before = client_secrets.settings_of(request.scope)
        model = request.query_params.get("model", "")
        settings = asked_settings(hub, session, model, before)
        name, answer = await calls.begin(offer, settings)
        headers = {LOCATION: f"/v1/realtime/calls/{name}", **hub.engines.mark_headers}
        return Response(answer, 201, headers, "application/sdp")

    @router.post("/v1/realtime/calls/{name}/hangup")
    async def hang_up(name: str) -> Response:
        await calls.hang_up(name)
        return Response()

    return router


async def _read(request: Request) -> tuple[str, dict[str, Any]]:
    """The SDP offer of a request, and the session's settings that came with it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/sdp":
        offer, session = (await request.body()).decode("utf-8", "replace"), "{}"
    elif kind == "multipart/form-data":
        async with request.form(max_files=2, max_fields=8) as form:
            offer, session = [await _text(form.get(name)) for name in ("sdp", "session")]
    else:
        message = "send the SDP offer as application/sdp, or as `sdp` of multipart/form-data"
        raise ApiError(message, status=415, code="unsupported_media_type")
    if len(offer) > _MAX_SDP:
        raise ApiError(f"the SDP offer has more than {_MAX_SDP} characters", code="too_large")
    try:
        return offer, read_object(session or "{}")
    except ProtocolError as error:
        raise ApiError(f"session: {error}", code=error.code, param="session") from None


async def _text(part: Any) -> str:
    """A form field, or the content of a file part: both are sent by clients."""
    if part is None or isinstance(part, str):
        return part or ""
    return (await part.read(_MAX_SDP + 1)).decode("utf-8", "replace")
