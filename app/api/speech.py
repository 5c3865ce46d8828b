"""OpenAI-compatible streaming `POST /v1/audio/speech`."""

import base64
import json
import logging
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter

from app.api.admission import Admission
from app.api.errors import error_body
from app.api.production import Production
from app.api.response_headers import UNDERSTOOD
from app.api.speech_making import Piece, SpeechMaking, words_event
from app.api.speech_request import SpeechRequest
from app.api.streaming import ProducedResponse
from app.hub import Engines
from data.limits import limited_context
from models.pipe import AbandonedError

logger = logging.getLogger(__name__)

_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "pcm": "audio/pcm",  # Chromium would buffer application/octet-stream
}


def speech_router(engines: Engines, admission: Admission) -> APIRouter:
    """`POST /v1/audio/speech`."""
    router = APIRouter()

    @router.post("/v1/audio/speech")
    async def speech(body: SpeechRequest) -> ProducedResponse:
        limited_context([len(turn.text) for turn in body.history])
        making = SpeechMaking(engines, body, body.input)  # validates before queueing
        sse = body.stream_format == "sse"
        make = _events if sse else _sound
        headers = {"Cache-Control": "no-cache", **engines.mark_headers}
        if body.instructions:
            headers[UNDERSTOOD] = making.understood.summary
        return ProducedResponse(
            admission,
            lambda: Production(lambda production: make(making, production)),
            "text/event-stream" if sse else _TYPES[body.response_format],
            headers,
        )

    return router


def _sound(making: SpeechMaking, production: Production[bytes]) -> Iterator[bytes]:
    return filter(None, (piece.sound for piece in making.pieces(production)))


def _events(making: SpeechMaking, production: Production[bytes]) -> Iterator[bytes]:
    """Server-sent events: base64 pieces of the file, words, and finally the usage."""
    pieces = filter(lambda piece: piece.sound or piece.words, making.pieces(production))
    first = next(pieces, None)  # so that an invalid request gets an error response
    if first is not None:
        yield _told(first)
    try:
        for piece in pieces:
            yield _told(piece)
        yield _event({"type": "speech.audio.done", **making.done})
    except AbandonedError:
        raise
    except Exception as error:
        logger.exception("a reply failed while streaming")
        yield _event({"type": "error", **error_body(error)})


def _told(piece: Piece) -> bytes:
    """The events for one piece."""
    told = b""
    if piece.sound:
        sound = base64.b64encode(piece.sound).decode()
        told = _event({"type": "speech.audio.delta", "audio": sound})
    return told + (_event(words_event(piece.words)) if piece.words else b"")


def _event(event: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()
