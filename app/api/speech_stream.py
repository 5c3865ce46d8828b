"""`WS /v1/audio/speech/stream`: streaming text in, streaming audio out.

The client sends `{"type": "start", ...}` with the fields of a speech request except `input`, any
number of `{"type": "text", "text": "..."}`, then `{"type": "end"}`. The server sends
`speech.started`, binary messages that concatenate to one file in `response_format`,
`speech.audio.words`, and finally `speech.audio.done`; or `error` in OpenAI's form.
"""

import asyncio
import json
import logging
import queue
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, WebSocket
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from app.api.admission import Admission
from app.api.channel import accept
from app.api.errors import ApiError, error_body, validation_error
from app.api.production import Production
from app.api.speech_making import Piece, SpeechMaking, words_event
from app.api.speech_request import SpeechOptions
from app.api.streaming import STALL_S
from app.hub import Engines
from data.errors import RepError
from data.limits import MAX_SPOKEN, limited_context
from data.text import valid_text

logger = logging.getLogger(__name__)

IDLE_S = 60.0  # timeout of a silent client, which would block a place
_SUBPROTOCOL = "repartee"


class _Text(Iterator[str]):
    """A queue of text pieces from the server's loop to the synthesis thread."""

    def __init__(self) -> None:
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._length = 0

    def write(self, piece: str) -> None:
        """Adds a piece; raises ApiError if the text exceeds the limit."""
        self._length += len(piece)
        if self._length > MAX_SPOKEN:
            raise ApiError(
                f"the text has more than {MAX_SPOKEN} characters; start another stream",
                code="string_above_max_length",
                param="text",
            )
        self._pieces.put(piece)

    def end(self) -> None:
        """Ends the text; idempotent."""
        self._pieces.put(None)

    def __next__(self) -> str:
        piece = self._pieces.get()
        if piece is None:
            self.end()
            raise StopIteration
        return piece


def speech_stream_router(engines: Engines, admission: Admission) -> APIRouter:
    """`WS /v1/audio/speech/stream`."""
    router = APIRouter()

    @router.websocket("/v1/audio/speech/stream")
    async def stream(socket: WebSocket) -> None:
        await accept(socket, engines.mark_headers, _SUBPROTOCOL)
        try:
            await _serve(engines, admission, socket)
            await socket.close()
        except WebSocketDisconnect:
            return
        except Exception as error:
            if not isinstance(error, RepError):
                logger.exception("a speech stream failed")
            await _refuse(socket, error)

    return router


async def _refuse(socket: WebSocket, error: Exception) -> None:
    try:
        await socket.send_text(json.dumps({"type": "error", **error_body(error)}))
        await socket.close(1008 if isinstance(error, RepError) else 1011)
    except (RuntimeError, WebSocketDisconnect):
        return  # the client has left


async def _serve(engines: Engines, admission: Admission, socket: WebSocket) -> None:
    asked = _speaking(await _received(socket, "start"))
    text = _Text()
    making = SpeechMaking(engines, asked, text)
    async with admission.place():
        told = {"type": "speech.started", "synthetic": True, "format": asked.response_format}
        await socket.send_text(json.dumps({**told, "understood": making.understood.summary}))
        production: Production[Piece] = Production(making.pieces)
        works = (_read(socket, text), _write(socket, production, making))
        reader, writer = tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and reader.exception() is None:
                await writer
            for task in tasks:
                if task.done() and not task.cancelled():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            production.leave()
            text.end()
            await asyncio.wait(tasks)


def _speaking(message: dict[str, Any]) -> SpeechOptions:
    try:
        asked = SpeechOptions.model_validate({k: v for k, v in message.items() if k != "type"})
    except ValidationError as error:
        raise validation_error(error.errors(), message) from None
    limited_context([len(turn.text) for turn in asked.history])
    return asked


async def _read(socket: WebSocket, text: _Text) -> None:
    """Reads messages until the client ends its text."""
    while (message := await _received(socket, "text", "end"))["type"] == "text":
        piece = message.get("text")
        if not isinstance(piece, str):
            raise ApiError("text must be a string", code="invalid_value", param="text")
        text.write(valid_text(piece))
    text.end()


async def _write(socket: WebSocket, production: Production[Piece], making: SpeechMaking) -> None:
    while (piece := await production.next()) is not None:
        async with asyncio.timeout(STALL_S):
            if piece.sound:
                await socket.send_bytes(piece.sound)
            if piece.words:
                await socket.send_text(json.dumps(words_event(piece.words)))
    await socket.send_text(json.dumps({"type": "speech.audio.done", **making.done}))


async def _received(socket: WebSocket, *kinds: str) -> dict[str, Any]:
    """The next message, which must be of one of these kinds; raises ApiError."""
    expected = " or ".join(f'{{"type": "{kind}"}}' for kind in kinds)
    try:
        async with asyncio.timeout(IDLE_S):
            received = await socket.receive()
    except TimeoutError:
        raise ApiError(f"no message for {IDLE_S:.0f} s; expected {expected}") from None
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1000))
    try:
        message = json.loads(received.get("text") or "")
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict) or message.get("type") not in kinds:
        raise ApiError(f"expected {expected}, as JSON text", code="invalid_value", param="type")
    return message
