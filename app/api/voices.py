"""`/v1/audio/voices`: the voices, and cloning one."""

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, HTTPException, UploadFile

from app.hub import OPENAI_VOICES, Engines
from app.voice_sample import clean_sample
from data.errors import InputError, RepError
from data.recognition.recognizer import transcribe

_MAX_CLIP_S = 120
_MAX_CLIPS = 20


def voices_router(engines: Engines) -> APIRouter:
    """The voices that may be named in a request or chosen in the page."""
    router = APIRouter()

    @router.api_route("/v1/audio/voices", methods=["GET", "HEAD"])
    def voices() -> dict[str, Any]:
        found = [
            {"id": voice.name, "name": voice.name, "description": voice.description}
            for voice in engines.speaker.voices.values()
        ]
        aliases = {name: engines.voice_name(name) for name in (*OPENAI_VOICES, *engines.voice_map)}
        return {"object": "list", "data": found, "voices": found, "aliases": aliases}

    @router.post("/v1/audio/voices")
    async def clone(
        name: Annotated[str, Form(max_length=100)],
        consent: Annotated[str, Form(max_length=2000)],
        audio_sample: Annotated[list[UploadFile], File()],
        transcript: Annotated[str | None, Form(max_length=2000)] = None,
        language: Annotated[str, Form(max_length=20)] = "en",
    ) -> dict[str, Any]:
        """Clones a voice as `launch.py clone` does; 400 says why not. Without a transcript the
        sample's words are recognised."""
        if len(audio_sample) > _MAX_CLIPS:
            raise InputError(
                f"there are {len(audio_sample)} clips; at most {_MAX_CLIPS} are taken, and 5 to "
                "15 s of speech are enough"
            )

        def work() -> dict[str, Any]:
            engines.check_new_voice(name)  # before its words are recognised, which takes seconds
            read = engines.uploads.read
            clips = (read(one.file, max_seconds=_MAX_CLIP_S) for one in audio_sample)
            sample = clean_sample(clips)
            voice = engines.speaker.clone(sample.samples)
            words = transcript
            if words is None:
                try:
                    words = transcribe(engines.recognizer, sample.samples)
                except RepError as error:
                    raise HTTPException(503, f"{error}; or send the transcript") from error
            facts = engines.keep_voice(voice, sample, name, consent, words, language)
            return {
                "object": "audio.voice",
                "id": facts.name,
                "name": facts.name,
                "created_at": facts.created,
                "description": facts.description,
                "verdict": sample.verdict,
            }

        return await engines.uploads.run(work)

    @router.delete("/v1/audio/voices/{name}")
    def remove(name: str) -> dict[str, Any]:
        engines.remove_voice(name)
        return {"object": "audio.voice.deleted", "id": name, "deleted": True}

    return router
