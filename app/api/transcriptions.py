"""OpenAI-compatible `POST /v1/audio/transcriptions`, with the chat's recogniser."""

import io
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.datastructures import UploadFile

from app.api.admission import Admission, AdmissionSettings
from app.api.events import event_of, with_errors
from app.api.production import Production
from app.api.streaming import ProducedResponse
from app.api.transcription_form import Options, bad_field, read_options
from app.api.transcripts import (
    TYPES,
    Transcript,
    diarized,
    logprobs_of,
    segments_of,
    speeches_of,
    usage,
    written,
)
from app.hub import Engines
from data.audio import SAMPLE_RATE, resample
from data.audio.pcm import to_float
from data.recognition.recognizer import Utterance
from data.recognition.recordings import Passage, joined, transcribe_recording

MAX_S = 4 * 3600
MAX_DIARIZED_S = 1800  # speakers are compared over the whole recording
_DIARISED_HZ = 16_000


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
            raise bad_field("file", "the file is empty; send a recording")

        def make(production: Production[bytes]) -> Iterator[bytes]:
            made = _transcribed(engines, content, options, production)
            return with_errors(made) if options.stream else made

        kind = TYPES.get(options.response_format, "application/json")
        if options.stream:
            kind = "text/event-stream"
        return ProducedResponse(admission, lambda: Production(make), kind)

    return router


class _CancellableUtterance:
    """Adapts an utterance so that a production can cancel it."""

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance

    def cancel(self) -> None:
        self._utterance.abort()


def _transcribed(
    engines: Engines, content: bytes, options: Options, production: Production
) -> Iterator[bytes]:
    longest = MAX_DIARIZED_S if options.diarized else MAX_S
    samples = engines.uploads.read_long(io.BytesIO(content), max_seconds=longest)
    production.check()
    turns = _turns(samples) if options.diarized else []
    found = transcribe_recording(
        engines.recognizer,
        samples,
        options.language,
        options.times,
        (options.prompt,) if options.prompt else (),
        lambda utterance: production.hold(_CancellableUtterance(utterance)),
        production.check,
    )
    transcript = Transcript([], len(samples) / SAMPLE_RATE, options.language, turns)
    telling = _Telling(turns, options)
    for passage in found:
        _check_words(engines, passage, options)
        transcript.passages.append(passage)
        events = telling.of(passage)
        if options.stream:
            yield from map(event_of, events)
    logprobs = {"logprobs": telling.logprobs} if options.logprobs else {}
    if options.stream:
        end = {"type": "transcript.text.done", "text": transcript.text, **logprobs}
        yield event_of({**end, "usage": usage(transcript)})
    else:
        yield written(transcript, options.response_format, options.granularities, logprobs)


def _turns(samples: np.ndarray) -> list[tuple[float, float, int]]:
    from data.ncssd.diarise import diarise  # slow to import, and rarely needed

    return diarise(resample(to_float(samples), SAMPLE_RATE, _DIARISED_HZ))


def _check_words(engines: Engines, passage: Passage, options: Options) -> None:
    """Raises ApiError if the recogniser lacks what the client asks for."""
    name = engines.recognizer.name
    if passage.words is None and "word" in options.granularities:
        raise bad_field("timestamp_granularities", f"{name} has no word timestamps")
    if passage.words is None and options.diarized:
        raise bad_field("response_format", f"{name} has no word timestamps, which speakers need")
    if passage.confidences is None and options.logprobs:
        raise bad_field("include", f"{name} has no log probabilities")


class _Telling:
    """The events of one passage after another.

    Attributes:
        logprobs: those of all passages so far.
    """

    def __init__(self, turns: list[tuple[float, float, int]], options: Options) -> None:
        self.logprobs: list[dict[str, Any]] = []
        self._turns, self._options = turns, options
        self._last, self._numbers = "", itertools.count()

    def of(self, passage: Passage) -> list[dict[str, Any]]:
        """The events of the next passage; the deltas make up the text."""
        events: list[dict[str, Any]] = []
        delta: dict[str, Any] = {"type": "transcript.text.delta"}
        if self._options.diarized:
            speeches = speeches_of(passage, self._turns)
            events = [diarized(speech, next(self._numbers)) for speech in speeches]
        if self._options.logprobs:
            given = logprobs_of(passage, self._space(passage.text))
            self.logprobs += given
            text = self._space(passage.text) + passage.text
            events.append({**delta, "delta": text, "logprobs": given})
            self._last = passage.text
            return events
        for segment in segments_of(passage):
            events.append({**delta, "delta": self._space(segment.text) + segment.text})
            self._last = segment.text
        return events

    def _space(self, text: str) -> str:
        return joined([self._last, text])[len(self._last) :].removesuffix(text)
