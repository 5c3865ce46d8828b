"""`/v1/audio/voices`: listing, cloning and removing voices."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, File, Form, HTTPException, UploadFile

from app.hub import Engines
from app.spoken_consent import consent_with
from data.errors import InputError, RepError
from data.recognition.recognizer import transcribe

_MAX_CLIP_S = 120
_MAX_CLIPS = 20


def voices_router(engines: Engines) -> APIRouter:
    """The voices that may be named in a request or chosen in the page."""
    router = APIRouter()

    @router.api_route("/v1/audio/voices", methods=["GET", "HEAD"])
    def voices() -> dict[str, Any]:
        return _listed(engines)

    @router.post("/v1/audio/voices")
    async def clone(
        name: Annotated[str, Form(max_length=100)],
        consent: Annotated[str, Form(max_length=2000)],
        audio_sample: Annotated[list[UploadFile], File()],
        transcript: Annotated[str | None, Form(max_length=2000)] = None,
        language: Annotated[str, Form(max_length=20)] = "en",
        consent_recording: Annotated[UploadFile | None, File()] = None,
    ) -> dict[str, Any]:
        """Clones a voice as `launch.py clone` does; 400 with the reason if unsuitable. The
        transcript defaults to the recogniser's. `consent_recording` has the sentence of
        `app.spoken_consent` in the same voice."""
        if len(audio_sample) > _MAX_CLIPS:
            raise InputError(
                f"there are {len(audio_sample)} clips; at most {_MAX_CLIPS} are accepted, and 5 to "
                "15 s of speech are enough"
            )

        def work() -> dict[str, Any]:
            spoken = None
            if consent_recording is not None:
                said = engines.uploads.read(consent_recording.file, max_seconds=_MAX_CLIP_S)
                spoken = partial(consent_with, consent, said, recognised, language)
            return _clone(engines, audio_sample, name, consent, transcript, language, spoken)

        def recognised(samples: np.ndarray) -> str:
            return transcribe(engines.recognizer, samples)

        return await engines.uploads.run(work)

    @router.delete("/v1/audio/voices/{name}")
    def remove(name: str) -> dict[str, Any]:
        engines.voices.remove(name)
        return {"object": "audio.voice.deleted", "id": name, "deleted": True}

    return router


def _listed(engines: Engines) -> dict[str, Any]:
    found = [
        {"id": voice.name, "name": voice.name, "description": voice.description}
        for voice in engines.speaker.voices.values()
    ]
    aliases = engines.voices.aliases()
    return {"object": "list", "data": found, "voices": found, "aliases": aliases}


def _clone(
    engines: Engines,
    uploads: list[UploadFile],
    name: str,
    consent: str,
    transcript: str | None,
    language: str,
    spoken: Callable[[np.ndarray], str] | None,
) -> dict[str, Any]:
    def words(samples: np.ndarray) -> str:
        if transcript is not None:
            return transcript
        try:
            return transcribe(engines.recognizer, samples)
        except RepError as error:
            raise HTTPException(503, f"{error}; or send the transcript") from error

    clips = (engines.uploads.read(one.file, max_seconds=_MAX_CLIP_S) for one in uploads)
    facts, sample = engines.voices.clone_and_keep(clips, name, consent, words, language, spoken)
    return {
        "object": "audio.voice",
        "id": facts.name,
        "name": facts.name,
        "created_at": facts.created,
        "description": facts.description,
        "verdict": sample.verdict,
    }
