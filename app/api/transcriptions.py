"""OpenAI-compatible `POST /v1/audio/transcriptions`, by the recogniser that the chat uses."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import PlainTextResponse

from app.hub import Engines
from app.recognition import transcribe as recognise
from data.audio import SAMPLE_RATE

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
        def work() -> tuple[str, float]:
            samples = engines.uploads.read(file.file, max_seconds=MAX_S)
            return recognise(engines.recognizer, samples), len(samples) / SAMPLE_RATE

        text, seconds = await engines.uploads.run(work)
        if response_format == "text":
            return PlainTextResponse(text + "\n")
        if response_format == "json":
            return {"text": text}
        whole = {"task": "transcribe", "language": "english", "duration": round(seconds, 3)}
        return {**whole, "text": text}

    return router
