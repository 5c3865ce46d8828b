"""OpenAI-compatible `POST /v1/audio/speech`, streamed as it is made."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from app.hub import Engines
from data.audio import SAMPLE_RATE, encode_audio
from data.errors import InputError

_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "pcm": "audio/pcm",  # Chromium would hold back application/octet-stream
}
_MAX_HISTORY = 20


class HistoryTurn(BaseModel):
    """A turn before the one to speak. An extension: text only, sound is not taken here."""

    model_config = ConfigDict(extra="forbid")
    speaker: Literal["user", "agent", "assistant"]
    text: str = Field(min_length=1, max_length=4096)


class VoiceName(BaseModel):
    """The other way to name a voice."""

    id: str


class SpeechRequest(BaseModel):
    """OpenAI's request, with `history` and `seed` beside it.

    `model` may name a speech model of ours; any other name takes the first.
    """

    model: str = "repartee"
    input: str = Field(max_length=4096)
    voice: str | VoiceName = ""
    instructions: str | None = None
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio", "sse"] = "audio"
    history: list[HistoryTurn] = Field(default=[], max_length=_MAX_HISTORY)
    seed: int | None = None


def speech_router(engines: Engines) -> APIRouter:
    """`POST /v1/audio/speech`."""
    router = APIRouter()

    @router.post("/v1/audio/speech")
    async def speech(body: SpeechRequest, request: Request) -> StreamingResponse:
        reply = await asyncio.to_thread(_begin, engines, body)
        chunks = _checked(reply)
        first = await asyncio.to_thread(next, chunks, None)
        if first is None:
            raise InputError("there is nothing to speak in the input: give words")
        sound = _until_gone(first, chunks, reply, request)
        if body.stream_format == "sse":
            return StreamingResponse(_events(sound), media_type="text/event-stream")
        kind = body.response_format
        stream = _pcm(sound) if kind == "pcm" else _encoded(sound, kind)
        return StreamingResponse(stream, media_type=_TYPES[kind])

    return router


def _begin(engines: Engines, body: SpeechRequest) -> Any:
    from models.speaker import SpeakOptions

    name = body.voice if isinstance(body.voice, str) else body.voice.id
    voice = engines.voice(name)
    known = engines.speaker.predictors
    dialogue = engines.speaker.open_dialogue(body.model if body.model in known else known[0])
    for turn in body.history:
        engines.speaker.hear(dialogue, int(turn.speaker != "user"), turn.text, None)
    rate = min(2.5, max(0.4, body.speed))  # what the models reach
    options = SpeakOptions(seed=body.seed, rate=rate)
    return engines.speaker.speak(dialogue, body.input, voice, options)


def _checked(reply: Any) -> Iterator[np.ndarray]:
    yield from reply


async def _until_gone(
    first: np.ndarray, chunks: Iterator[np.ndarray], reply: Any, request: Request
) -> AsyncIterator[np.ndarray]:
    """Chunks as they are made; synthesis stops when the client has left."""
    chunk: np.ndarray | None = first
    try:
        while chunk is not None and not await request.is_disconnected():
            yield chunk
            chunk = await asyncio.to_thread(next, chunks, None)
    finally:
        await asyncio.to_thread(reply.cancel)


async def _pcm(sound: AsyncIterator[np.ndarray]) -> AsyncIterator[bytes]:
    async for chunk in sound:
        yield encode_audio(chunk, SAMPLE_RATE, "pcm")


async def _encoded(sound: AsyncIterator[np.ndarray], kind: str) -> AsyncIterator[bytes]:
    """A file format needs the whole."""
    whole = np.concatenate([chunk async for chunk in sound])
    yield await asyncio.to_thread(encode_audio, whole, SAMPLE_RATE, kind)


async def _events(sound: AsyncIterator[np.ndarray]) -> AsyncIterator[str]:
    seconds = 0.0
    async for chunk in sound:
        seconds += len(chunk) / SAMPLE_RATE
        audio = base64.b64encode(encode_audio(chunk, SAMPLE_RATE, "pcm")).decode()
        yield f"data: {json.dumps({'type': 'speech.audio.delta', 'audio': audio})}\n\n"
    done = {"type": "speech.audio.done", "seconds": round(seconds, 3)}
    yield f"data: {json.dumps(done)}\n\n"
