"""OpenAI-compatible `POST /v1/audio/transcriptions`, with the chat's recogniser."""

import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile

from app.api.admission import Admission, AdmissionSettings
from app.api.choosing import language_of
from app.api.errors import ApiError
from app.api.production import Production
from app.api.streaming import ProducedResponse
from app.api.transcripts import TYPES, Transcript, written
from app.hub import Engines
from data.audio import SAMPLE_RATE
from data.errors import InputError
from data.recognition.recognizer import Utterance, fed, text_of

MAX_S = 120
_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
_GRANULARITIES = ("word", "segment")
# OpenAI fields that our recognisers do not support: rejected rather than ignored.
_REFUSED = {
    "prompt": "the recogniser takes no prompt",
    "include": "the recogniser has no log probabilities",
    "known_speaker_names": "the recogniser does not do diarisation",
    "known_speaker_references": "the recogniser does not do diarisation",
}
_TAKEN = (
    "file",
    "model",
    "response_format",
    "stream",
    "language",
    "temperature",
    "timestamp_granularities",
    "chunking_strategy",
)


@dataclass(frozen=True)
class Options:
    """The validated fields of a request."""

    response_format: str = "json"
    stream: bool = False
    granularities: tuple[str, ...] = ()
    language: str | None = None


def transcriptions_router(engines: Engines) -> APIRouter:
    """`POST /v1/audio/transcriptions`."""
    router = APIRouter()
    # A few at a time, in separate threads, so that synthesis never waits behind them.
    admission = Admission(
        AdmissionSettings(2, queue=10, wait_s=60.0), "recordings are being transcribed"
    )

    @router.post("/v1/audio/transcriptions")
    async def transcribe(request: Request) -> ProducedResponse:
        async with request.form(max_files=1, max_fields=40) as form:
            options = read_options(form, engines)
            file = form.get("file")
            assert isinstance(file, UploadFile)
            content = await file.read()
        if not content:
            raise _bad("file", "the file is empty; send a recording")

        def make(production: Production) -> Iterator[bytes]:
            return _transcribed(engines, content, options, production)

        kind = TYPES.get(options.response_format, "application/json")
        if options.stream:
            kind = "text/event-stream"
        return ProducedResponse(admission, lambda: Production(make), kind)

    return router


def read_options(form: FormData, engines: Engines) -> Options:
    """Validates the fields of a form.

    Raises:
        ApiError: a field is unsupported or invalid.
    """
    given = {name.removesuffix("[]"): form.getlist(name) for name in form}
    if not isinstance(form.get("file"), UploadFile):
        raise _bad("file", "Field required: send a recording")
    for name, values in given.items():
        if name in _REFUSED and any(values):
            raise _bad(name, f"{_REFUSED[name]}; leave it out")
        if name not in _TAKEN and name not in _REFUSED:
            raise _bad(name, f"there is no such field; there are {', '.join(_TAKEN)}")
    text = {name: str(values[-1]) for name, values in given.items() if name != "file"}
    if len(text.get("model", "")) > 200:
        raise _bad("model", "the name has more than 200 characters")
    if text.get("chunking_strategy", "auto") not in ("", "auto"):
        raise _bad("chunking_strategy", "only auto is supported")
    _check_temperature(text.get("temperature", ""))
    try:
        language = language_of(engines, text.get("language", "")) or None
    except InputError as error:
        raise _bad("language", str(error)) from None
    return _options(given, text, language)


def _options(given: dict[str, list[Any]], text: dict[str, str], language: str | None) -> Options:
    kind = text.get("response_format") or "json"
    if kind == "diarized_json":
        raise _bad("response_format", "the recogniser does not tell speakers apart")
    if kind not in _FORMATS:
        raise _bad("response_format", f"{kind!r:.30} is none of {', '.join(_FORMATS)}")
    stream = (text.get("stream") or "false").lower()
    if stream not in ("true", "false", "1", "0"):
        raise _bad("stream", f"{stream!r:.30} is neither true nor false")
    streamed = stream in ("true", "1")
    if streamed and kind not in ("json", "text"):
        raise _bad("response_format", f"{kind} cannot be streamed; choose json or text")
    granularities = tuple(str(one) for one in given.get("timestamp_granularities", []) if one)
    for one in granularities:
        if one not in _GRANULARITIES:
            raise _bad("timestamp_granularities", f"{one!r:.30} is neither word nor segment")
    if granularities and kind != "verbose_json":
        raise _bad("timestamp_granularities", "times are part of verbose_json only")
    return Options(kind, streamed, granularities or ("segment",), language)


def _check_temperature(given: str) -> None:
    try:
        value = float(given or 0)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise _bad("temperature", f"{given!r:.30} is not from 0 to 1")
    if value:
        raise _bad("temperature", "the recogniser does not sample; omit it, or give 0")


def _bad(param: str, message: str) -> ApiError:
    return ApiError(f"{param:.60}: {message}", code="invalid_value", param=param[:60])


class _Hearing:
    """Adapts an utterance so that a production can cancel it."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance

    def cancel(self) -> None:
        self._utterance.abort()


def _transcribed(
    engines: Engines, content: bytes, options: Options, production: Production
) -> Iterator[bytes]:
    samples = engines.uploads.read(io.BytesIO(content), max_seconds=MAX_S)
    production.check()
    times = options.stream or options.response_format not in ("json", "text")
    utterance = fed(engines.recognizer, samples, options.language, times)
    production.hold(_Hearing(utterance))
    text = text_of(utterance, production.check)
    if "word" in options.granularities and text and utterance.words is None:
        name = engines.recognizer.name
        raise _bad("timestamp_granularities", f"the recogniser {name} has no word timestamps")
    language = utterance.language or options.language or "en"
    transcript = Transcript(text, utterance.words, len(samples) / SAMPLE_RATE, language)
    if not options.stream:
        yield written(transcript, options.response_format, options.granularities)
        return
    for number, (segment, _, _) in enumerate(transcript.segments):
        delta = f" {segment}" if number else segment
        yield _event({"type": "transcript.text.delta", "delta": delta})
    usage = {"type": "duration", "seconds": round(transcript.seconds, 3)}
    yield _event({"type": "transcript.text.done", "text": text, "usage": usage})


def _event(event: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()
