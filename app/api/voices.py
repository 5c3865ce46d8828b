"""`GET /v1/audio/voices`."""

from typing import Any

from fastapi import APIRouter

from app.hub import Engines


def voices_router(engines: Engines) -> APIRouter:
    """The voices that may be named in a request or chosen in the page."""
    router = APIRouter()

    @router.get("/v1/audio/voices")
    def voices() -> dict[str, Any]:
        found = engines.speaker.voices.values()
        return {
            "object": "list",
            "data": [
                {"id": voice.name, "name": voice.name, "description": voice.description}
                for voice in found
            ],
        }

    return router
