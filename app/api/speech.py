"""OpenAI-compatible streaming `POST /v1/audio/speech`."""

import base64
from collections.abc import Iterator

from fastapi import APIRouter

from app.api.admission import Admission
from app.api.events import event_of, with_errors
from app.api.production import Production
from app.api.response_headers import UNDERSTOOD
from app.api.speech_making import Piece, SpeechMaking, words_event
from app.api.speech_request import SpeechRequest
from app.api.streaming import ProducedResponse
from app.hub import Engines
from data.limits import limited_context

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

        def make(production: Production[bytes]) -> Iterator[bytes]:
            if sse:
                return with_errors(_events(making, production))
            return _sound(making, production)

        headers = {"Cache-Control": "no-cache", **engines.mark_headers}
        if body.instructions:
            headers[UNDERSTOOD] = making.understood.summary
        return ProducedResponse(
            admission,
            lambda: Production(make),
            "text/event-stream" if sse else _TYPES[body.response_format],
            headers,
        )

    return router


def _sound(making: SpeechMaking, production: Production[bytes]) -> Iterator[bytes]:
    return filter(None, (piece.sound for piece in making.pieces(production)))


def _events(making: SpeechMaking, production: Production[bytes]) -> Iterator[bytes]:
    """Server-sent events: base64 pieces of the file, words, and finally the usage."""
    for piece in making.pieces(production):
        if piece.sound or piece.words:
            yield _piece_event(piece)
    yield event_of({"type": "speech.audio.done", **making.done})


def _piece_event(piece: Piece) -> bytes:
    """The events for one piece."""
    told = b""
    if piece.sound:
        sound = base64.b64encode(piece.sound).decode()
        told = event_of({"type": "speech.audio.delta", "audio": sound})
    return told + (event_of(words_event(piece.words)) if piece.words else b"")
