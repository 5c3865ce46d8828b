"""OpenAI-compatible `POST /v1/audio/transcriptions`, by the recogniser that the chat uses."""

import asyncio
import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, HTTPException, UploadFile
from fastapi.responses import PlainTextResponse

from app.hub import Engines
from app.recognition import transcribe as recognise
from data.audio import SAMPLE_RATE, read_audio
from data.errors import InputError, RepError

MAX_S = 120


def transcriptions_router(engines: Engines) -> APIRouter:
    """`POST /v1/audio/transcriptions`."""
    router = APIRouter()

    @router.post("/v1/audio/transcriptions")
    async def transcribe(
        file: Annotated[UploadFile, File()],
        model: Annotated[str, Form(max_length=200)] = "",  # there is one recogniser
        response_format: Annotated[Literal["json", "text", "verbose_json"], Form()] = "json",
    ) -> Any:
        content = await file.read()
        if not content:
            raise InputError("the file is empty; send a recording")
        samples = await asyncio.to_thread(read_audio, io.BytesIO(content), max_seconds=MAX_S)
        try:
            text = await asyncio.to_thread(recognise, engines.recognizer, samples)
        except RepError as error:
            raise HTTPException(503, str(error)) from error
        if response_format == "text":
            return PlainTextResponse(text + "\n")
        if response_format == "json":
            return {"text": text}
        seconds = round(len(samples) / SAMPLE_RATE, 3)
        return {"task": "transcribe", "language": "english", "duration": seconds, "text": text}

    return router
