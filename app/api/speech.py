"""OpenAI-compatible `POST /v1/audio/speech`, streamed as it is made."""

import base64
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.admission import Admission
from app.api.errors import error_body
from app.api.production import Production
from app.api.streaming import ProducedResponse
from app.hub import Engines
from data.audio import SAMPLE_RATE, SYNTHETIC_HEADERS, StreamEncoder, TempoStream, mark_of
from data.limits import MAX_INSTRUCTIONS, MAX_SPOKEN, MAX_TURN, limited_context
from data.text import valid_text
from models.pipe import UnwantedError

logger = logging.getLogger(__name__)

_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "pcm": "audio/pcm",  # Chromium would hold back application/octet-stream
}
_MAX_HISTORY = 20
_RATES = 0.4, 2.5  # of what the models reach by themselves
_FRAME = 960  # samples of what counts as an output token


class _Request(BaseModel):
    """Fields that are null are as absent, as OpenAI's clients mean it; text is made valid."""

    @model_validator(mode="before")
    @classmethod
    def _cleaned(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            valid_text(name): valid_text(value) if isinstance(value, str) else value
            for name, value in given.items()
            if value is not None
        }


class HistoryTurn(_Request):
    """A turn before the one to speak. An extension: text only, sound is not taken here."""

    model_config = ConfigDict(extra="forbid")
    speaker: Literal["user", "agent", "assistant"]
    text: str = Field(min_length=1, max_length=MAX_TURN)


class VoiceName(_Request):
    """The other way to name a voice."""

    id: str = Field("", max_length=200)


class SpeechRequest(_Request):
    """OpenAI's request, with `history` and `seed` beside it.

    `model` may name a speech model of ours; any other name takes the first.
    """

    model: str = Field("repartee", max_length=200)
    input: str = Field(max_length=MAX_SPOKEN)
    voice: str | VoiceName = ""
    instructions: str | None = Field(None, max_length=MAX_INSTRUCTIONS)
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0, allow_inf_nan=False)
    stream_format: Literal["audio", "sse"] = "audio"
    history: list[HistoryTurn] = Field(default=[], max_length=_MAX_HISTORY)
    seed: int | None = Field(None, ge=0, lt=2**63)


def speech_router(engines: Engines, admission: Admission) -> APIRouter:
    """`POST /v1/audio/speech`."""
    router = APIRouter()

    @router.post("/v1/audio/speech")
    async def speech(body: SpeechRequest) -> ProducedResponse:
        limited_context([len(turn.text) for turn in body.history])
        engines.voices.find(_voice_name(body))  # an unknown one is refused before it waits
        sse = body.stream_format == "sse"
        make = _events if sse else _sound
        return ProducedResponse(
            admission,
            lambda: Production(lambda production: make(engines, body, production)),
            "text/event-stream" if sse else _TYPES[body.response_format],
            {"Cache-Control": "no-cache", **SYNTHETIC_HEADERS},
        )

    return router


def _voice_name(body: SpeechRequest) -> str:
    return body.voice if isinstance(body.voice, str) else body.voice.id


def _begin(engines: Engines, body: SpeechRequest, production: Production, rate: float) -> Any:
    from models.speaker import SpeakOptions

    speaker = engines.speaker
    voice = engines.voices.find(_voice_name(body))
    known = speaker.predictors
    predictor = body.model if body.model in known else known[0]
    dialogue = speaker.open_dialogue(predictor, production.left)
    for turn in body.history:
        speaker.hear(dialogue, int(turn.speaker != "user"), turn.text, None)
    production.check()
    reply = speaker.speak(dialogue, body.input, voice, SpeakOptions(seed=body.seed, rate=rate))
    production.hold(reply)
    return reply


def _pieces(
    engines: Engines,
    body: SpeechRequest,
    production: Production,
    count: Callable[[Any, int], None] = lambda reply, samples: None,
) -> Iterator[bytes]:
    """The sound in the format that was asked for, as it is made.

    `count` is told the reply and how many samples it had, in the end.
    """
    rate = min(_RATES[1], max(_RATES[0], body.speed))
    tempo = TempoStream(body.speed / rate, SAMPLE_RATE)
    total = 0
    mark = mark_of(engines.voices.find(_voice_name(body)).consent)
    with StreamEncoder(body.response_format, SAMPLE_RATE, mark) as encoder:

        def encoded(samples: np.ndarray) -> bytes:
            nonlocal total
            total += len(samples)
            return encoder.push(samples)

        reply = _begin(engines, body, production, rate)
        for chunk in reply:
            yield encoded(tempo.push(chunk))
        production.check()
        yield encoded(tempo.finish()) + encoder.finish()
    count(reply, total)


def _sound(engines: Engines, body: SpeechRequest, production: Production) -> Iterator[bytes]:
    return filter(None, _pieces(engines, body, production))


def _events(engines: Engines, body: SpeechRequest, production: Production) -> Iterator[bytes]:
    """Server-sent events: pieces of the file in base64, and what it took in the end."""
    done: dict[str, Any] = {"type": "speech.audio.done"}

    def count(reply: Any, samples: int) -> None:
        # Tokens are what the models read and write: phonemes, and frames of 40 ms.
        read, written = int(reply.num_units), -(-samples // _FRAME)
        tokens = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
        done.update(seconds=round(samples / SAMPLE_RATE, 3), usage=tokens)

    pieces = filter(None, _pieces(engines, body, production, count))
    first = next(pieces, None)  # what is wrong with the request is an answer of its own
    if first is not None:
        yield _delta(first)
    try:
        for piece in pieces:
            yield _delta(piece)
        yield _event(done)
    except UnwantedError:
        raise
    except Exception as error:
        logger.exception("a reply failed in the middle")
        yield _event({"type": "error", **error_body(error)})


def _delta(piece: bytes) -> bytes:
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()})


def _event(event: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()
