"""The conversation's WebSocket, and what can be fetched of a conversation."""

import asyncio
import contextlib
import logging
import time
from typing import Any

from fastapi import APIRouter, HTTPException, Response, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from app.hub import BusyError, Engines, Hub
from app.protocol import (
    PROTOCOL,
    SAMPLE_RATE,
    ProtocolError,
    RateLimit,
    read_message,
    read_sound,
    write_sound,
)
from app.session import Session, with_settings
from app.settings import SessionSettings
from app.speaking import Emitted, Sound
from data.audio import encode_audio
from data.errors import InputError

logger = logging.getLogger(__name__)

TICK_S = 0.02
START_BY_S = 10.0
_MAX_WAITING = 600  # messages to a listener who does not read
_MAX_ERRORS = 50
_SWEEP_S = 1.0


def conversation_router(hub: Hub) -> APIRouter:
    """Routes under `/v1/conversation`."""
    router = APIRouter()

    @router.websocket("/v1/conversation")
    async def converse(socket: WebSocket) -> None:
        await socket.accept()
        await Connection(hub, socket).run()

    @router.get("/v1/conversation")
    def offered() -> dict[str, Any]:
        settings = public_settings(hub.settings.session)
        return {"protocol": PROTOCOL, **choices(hub.engines), "settings": settings}

    @router.get("/v1/conversation/{name}/turns/{number}.wav")
    def sound(name: str, number: int) -> Response:
        session = _found(hub, name)
        record = session.turns.find(number)
        samples = session.turns.sound(record) if record is not None else None
        if samples is None:
            raise HTTPException(404, "there is no such turn, or it has no sound")
        return Response(encode_audio(samples, SAMPLE_RATE, "wav"), media_type="audio/wav")

    @router.get("/v1/conversation/{name}/dialogue.zip")
    def archive(name: str) -> Response:
        try:
            content = _found(hub, name).turns.archive()
        except InputError as error:
            raise HTTPException(409, str(error)) from None
        headers = {"Content-Disposition": 'attachment; filename="repartee-dialogue.zip"'}
        return Response(content, media_type="application/zip", headers=headers)

    return router


def _found(hub: Hub, name: str) -> Session:
    session = hub.find(name)
    if session is None:
        raise HTTPException(404, "there is no such conversation; it may have ended")
    return session


class Connection:
    """One listener. Its messages go to the session, what the session emits goes out."""

    def __init__(self, hub: Hub, socket: WebSocket) -> None:
        self._hub, self._socket = hub, socket
        self._out: asyncio.Queue[Emitted | None] = asyncio.Queue()
        self._session: Session | None = None
        self._ended = False
        self._errors = 0
        # Real time and a half, and 30 s at once: a machine that stood still gets what piled up.
        self._sound_rate = RateLimit(1.5, 30.0)
        self._message_rate = RateLimit(40.0, 200.0)

    async def run(self) -> None:
        """Until the listener leaves, or has to."""
        writer = asyncio.create_task(self._write())
        ticker = asyncio.create_task(self._tick())
        try:
            await self._read()
        except WebSocketDisconnect:
            pass
        except ProtocolError as error:
            self._refuse(error)
        except Exception:
            logger.exception("a connection failed")
            self._emit(_error("internal", "the server failed; its log says why", fatal=True))
        finally:
            ticker.cancel()
            self._leave()
            self._out.put_nowait(None)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(writer, 2.0)
            if self._socket.client_state is WebSocketState.CONNECTED:
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await self._socket.close()

    def _leave(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        if self._ended:
            self._hub.end(session)
        else:
            self._hub.park(session)

    async def _read(self) -> None:
        first = await asyncio.wait_for(self._next(), START_BY_S)
        while first is None:
            first = await asyncio.wait_for(self._next(), START_BY_S)
        self._start(first)
        while not self._ended:
            message = await self._next()
            if message is not None:
                self._handle(message)

    async def _next(self) -> dict[str, Any] | None:
        """The next text message, checked; sound goes to the session at once."""
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received.get("code", 1000))
        try:
            now = time.monotonic()
            if not self._message_rate.allows(0.05 if received.get("bytes") else 1.0, now):
                raise ProtocolError("too_fast", "too many messages; send sound in real time", True)
            if received.get("text") is not None:
                return read_message(received["text"])
            samples = read_sound(received.get("bytes") or b"")
            if self._session is None:
                raise ProtocolError("not_started", "the first message must be 'start'")
            if not self._sound_rate.allows(len(samples) / SAMPLE_RATE, now):
                raise ProtocolError("too_fast", "sound comes faster than real time", True)
            self._session.hear(samples)
        except ProtocolError as error:
            self._errors += 1
            if error.fatal or self._errors > _MAX_ERRORS:
                raise ProtocolError(error.code, str(error), True) from None
            self._refuse(error)
        return None

    def _start(self, message: dict[str, Any]) -> None:
        if message["type"] != "start":
            raise ProtocolError("not_started", "the first message must be 'start'", True)
        name = message.get("session")
        before = self._hub.parked_settings(name) if name else None
        try:
            settings = self._changed(
                before or self._hub.settings.session, message.get("settings", {})
            )
            session, resumed = self._hub.open(name, settings, self._emit, self._waker())
        except BusyError as error:
            raise ProtocolError("busy", str(error), True) from None
        self._session = session
        self._emit(
            {
                "type": "session",
                "protocol": PROTOCOL,
                "session": session.name,
                "resumed": resumed,
                "sample_rate": SAMPLE_RATE,
                **choices(self._hub.engines),
                "settings": public_settings(settings),
                "turns": [record.public() for record in session.turns.records],
            }
        )

    def _changed(self, settings: SessionSettings, changes: dict[str, Any]) -> SessionSettings:
        speaker = self._hub.engines.speaker
        voice, predictor = changes.get("voice"), changes.get("predictor")
        if voice and voice not in speaker.voices:
            raise ProtocolError(
                "unknown_voice", f"voice {voice!r:.60} is none of {', '.join(speaker.voices)}"
            )
        if predictor is not None and predictor not in speaker.predictors:
            raise ProtocolError(
                "unknown_predictor",
                f"predictor {predictor!r:.60} is none of {', '.join(speaker.predictors)}",
            )
        responder, responders = changes.get("responder"), self._hub.engines.responders
        if responder and responder not in responders:
            raise ProtocolError(
                "unknown_responder",
                f"responder {responder!r:.60} is none of {', '.join(responders)}",
            )
        try:
            return with_settings(settings, **changes)
        except InputError as error:
            raise ProtocolError("out_of_range", str(error)) from None

    def _handle(self, message: dict[str, Any]) -> None:
        session, kind = self._session, message["type"]
        assert session is not None
        try:
            if kind == "start":
                raise ProtocolError("already_started", "'start' comes once, first")
            if kind == "settings":
                session.adjust(self._changed(session.settings, message["settings"]))
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
                self._emit({"type": "pong", "at": message.get("at", 0)})
            elif kind == "end":
                self._ended = True
        except ProtocolError as error:
            self._errors += 1
            self._refuse(error)

    def _refuse(self, error: ProtocolError) -> None:
        self._hub.metrics.rejected.labels(error.code).inc()
        self._emit(_error(error.code, str(error), error.fatal))

    def _emit(self, message: Emitted) -> None:
        self._out.put_nowait(message)

    def _waker(self) -> Any:
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may have ended
                loop.call_soon_threadsafe(self._wake)

        return wake

    def _wake(self) -> None:
        if self._session is not None:
            self._session.tick()

    async def _tick(self) -> None:
        swept = 0.0
        while True:
            await asyncio.sleep(TICK_S)
            session = self._session
            if session is None:
                continue
            session.tick()
            now = time.monotonic()
            if now - swept > _SWEEP_S:
                swept = now
                self._hub.sweep()
                self._hub.metrics.queue.set(self._out.qsize())
                await self._check(session)

    async def _check(self, session: Session) -> None:
        if session.idle_s > self._hub.settings.idle_s:
            self._ended = True
            minutes = self._hub.settings.idle_s / 60
            message = f"nothing was said for {minutes:.0f} minutes; start again when you like"
            self._emit(_error("idle", message, fatal=True))
        elif self._out.qsize() > _MAX_WAITING:
            await self._socket.close(1008)

    async def _write(self) -> None:
        while True:
            message = await self._out.get()
            if message is None:
                return
            try:
                if isinstance(message, Sound):
                    await self._socket.send_bytes(write_sound(message))
                else:
                    await self._socket.send_json(message)
                    if message.get("fatal"):
                        await self._socket.close(1008)
            except (WebSocketDisconnect, RuntimeError):
                return


def choices(engines: Engines) -> dict[str, Any]:
    """What can be chosen for a conversation."""
    speaker = engines.speaker
    return {
        "voices": [
            {"name": voice.name, "description": voice.description}
            for voice in speaker.voices.values()
        ],
        "predictors": list(speaker.predictors),
        "recognizer": engines.recognizer.name,
        "responders": list(engines.responders),
    }


def public_settings(settings: SessionSettings) -> dict[str, Any]:
    """Settings as the page sees them."""
    names = ("voice", "predictor", "responder", "temperature", "rate", "interrupt")
    public = {name: getattr(settings, name) for name in names}
    return {**public, "silence_ms": settings.hearing.silence_ms}


def _error(code: str, message: str, fatal: bool = False) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message, "fatal": fatal}
