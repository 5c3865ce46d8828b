"""The conversation WebSocket, and downloads of conversations."""

import asyncio
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, HTTPException, Response, WebSocket

from app.active_reply import AudioChunk, Emitted
from app.api.channel import Channel, Encoded, accept
from app.api.choosing import changed, choices, public_settings
from app.api.response_headers import DISPOSITION
from app.hub import Hub
from app.messages import read_message
from app.protocol import PROTOCOL, SAMPLE_RATE, ProtocolError, read_sound, write_audio_chunk
from app.session import Session
from data.audio import encode_audio
from data.errors import InputError

START_BY_S = 10.0
_SUBPROTOCOL = "repartee"
_SOUND_COSTS = 0.05  # of a message


def conversation_router(hub: Hub) -> APIRouter:
    """Routes under `/v1/conversation`."""
    router = APIRouter()

    @router.websocket("/v1/conversation")
    async def converse(socket: WebSocket) -> None:
        await accept(socket, hub.engines.mark_headers, _SUBPROTOCOL)
        channel = Channel(hub, socket, _encoded, park=True)
        await channel.run(lambda: _Listener(channel).read())

    @router.get("/v1/conversation")
    def offered() -> dict[str, Any]:
        settings = public_settings(hub.settings.session)
        return {"protocol": PROTOCOL, **choices(hub.engines), "settings": settings}

    @router.get("/v1/conversation/{name}/turns/{number}.wav")
    def sound(name: str, number: int) -> Response:
        session = _found(hub, name)
        record = session.history.find(number)
        samples = session.history.sound(record) if record is not None else None
        if samples is None:
            raise HTTPException(404, "there is no such turn, or it has no audio")
        if record is None or not record.who:  # the user's own voice
            return Response(encode_audio(samples, SAMPLE_RATE, "wav"), media_type="audio/wav")
        voice = hub.engines.speaker.voices.get(record.voice)
        mark = hub.engines.mark(voice.consent if voice is not None else "")
        content = encode_audio(samples, SAMPLE_RATE, "wav", mark)
        return Response(content, media_type="audio/wav", headers=hub.engines.mark_headers)

    @router.get("/v1/conversation/{name}/dialogue.zip")
    def archive(name: str) -> Response:
        try:
            content = _found(hub, name).history.archive()
        except InputError as error:
            raise HTTPException(409, str(error)) from None
        headers = {DISPOSITION: 'attachment; filename="repartee-dialogue.zip"'}
        return Response(content, media_type="application/zip", headers=headers)

    return router


def _found(hub: Hub, name: str) -> Session:
    session = hub.find(name)
    if session is None:
        raise HTTPException(404, "there is no such conversation; it may have ended")
    return session


def _encoded(message: Emitted) -> Iterable[Encoded]:
    return (write_audio_chunk(message) if isinstance(message, AudioChunk) else message,)


class _Listener:
    """Dispatches a listener's messages to the session."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._hub, self._engines = channel.hub, channel.hub.engines

    async def read(self) -> None:
        """Runs until the conversation ends."""
        try:
            async with asyncio.timeout(START_BY_S):
                while (first := await self._next()) is None:
                    pass
        except TimeoutError:
            message = f"no 'start' arrived within {START_BY_S:.0f} s"
            raise ProtocolError("not_started", message, True) from None
        self._start(first)
        while not self._channel.ended:
            message = await self._next()
            if message is not None:
                self._handle(message)

    async def _next(self) -> dict[str, Any] | None:
        """The next text message, validated; audio goes straight to the session."""
        content = await self._channel.receive(
            lambda content: _SOUND_COSTS if isinstance(content, bytes) else 1.0
        )
        try:
            if isinstance(content, str):
                return read_message(content)
            self._channel.push_audio(read_sound(content))
        except ProtocolError as error:
            self._channel.refuse(error)
        return None

    def _start(self, message: dict[str, Any]) -> None:
        if message["type"] != "start":
            raise ProtocolError("not_started", "the first message must be 'start'", True)
        name = message.get("session")
        before = self._hub.find(name) if name else None
        settings = self._hub.settings.session if before is None else before.settings
        try:
            settings = changed(self._engines, settings, message.get("settings", {}))
        except ProtocolError as error:
            raise ProtocolError(error.code, str(error), True) from None
        session, resumed = self._channel.open(name, settings)
        self._channel.emit(
            {
                "type": "session",
                "protocol": PROTOCOL,
                "session": session.name,
                "resumed": resumed,
                "sample_rate": SAMPLE_RATE,
                **choices(self._engines),
                "settings": public_settings(settings),
                "turns": [record.public() for record in session.history.turns],
            }
        )

    def _handle(self, message: dict[str, Any]) -> None:
        session, kind = self._channel.session, message["type"]
        assert session is not None
        try:
            if kind == "start":
                raise ProtocolError("already_started", "'start' may be sent only once, first")
            if kind == "settings":
                session.adjust(changed(self._engines, session.settings, message["settings"]))
            elif kind == "text":
                session.write(" ".join(message["text"].split()))
            elif kind == "stop":
                session.stop()
            elif kind == "playback":
                session.underran(message.get("underruns", 0))
                session.report(
                    message["reply"],
                    message["played"],
                    message.get("finished", False),
                    message.get("stopped", False),
                )
            elif kind == "measured":
                session.measured(message["reply"], float(message["first_audio_ms"]))
            elif kind == "ping":
                self._channel.emit({"type": "pong", "at": message.get("at", 0)})
            elif kind == "end":
                self._channel.ended = True
        except ProtocolError as error:
            self._channel.refuse(error)
        except InputError as error:
            self._channel.refuse(ProtocolError("out_of_range", str(error)))
