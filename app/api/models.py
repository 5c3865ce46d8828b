"""The list of models, in OpenAI's form."""

from typing import Any

from fastapi import APIRouter

from app.api.errors import ApiError
from app.hub import Engines

_CREATED = 1_735_689_600  # 2025-01-01; OpenAI's form requires a time, which our models do not have
_SPEECH, _HEARING = "speech", "transcription"


def models_router(engines: Engines) -> APIRouter:
    """`GET /v1/models`, `/v1/models/{id}` and `/v1/audio/models`."""
    router = APIRouter()

    def listed() -> dict[str, dict[str, Any]]:
        kinds = {
            "repartee": _SPEECH,  # as any unknown name, this selects the first of those below
            **dict.fromkeys(engines.speaker.predictors, _SPEECH),
            engines.recognizer.name: _HEARING,
        }
        return {
            name: {
                "id": name,
                "name": name,
                "object": "model",
                "created": _CREATED,
                "owned_by": "repartee",
                "type": kind,
            }
            for name, kind in kinds.items()
        }

    @router.api_route("/v1/models", methods=["GET", "HEAD"])
    def models() -> dict[str, Any]:
        return {"object": "list", "data": list(listed().values())}

    @router.api_route("/v1/audio/models", methods=["GET", "HEAD"])
    def audio_models() -> dict[str, Any]:
        found = [model for model in listed().values() if model["type"] == _SPEECH]
        return {"object": "list", "data": found, "models": found}

    @router.api_route("/v1/models/{name:path}", methods=["GET", "HEAD"])
    def model(name: str) -> dict[str, Any]:
        found = listed().get(name)
        if found is None:
            known = ", ".join(listed())
            message = f"unknown model {name!r:.60}; available: {known}"
            raise ApiError(message, status=404, code="model_not_found", param="model")
        return found

    return router
