"""`GET /v1/audio/voices/{name}/sample`: a sample of a voice."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, HTTPException, Response

from app.api.admission import Admission
from app.api.production import Production
from app.api.speech_making import SpeechMaking
from app.api.speech_request import SpeechOptions
from app.api.streaming import ProducedResponse
from app.hub import Engines
from app.voice_store import SAMPLE_TEXT
from data.errors import InputError

_MAX_KEPT = 64  # samples of 40 kB
_TYPE = "audio/mpeg"
_HEADERS = {"Cache-Control": "private, max-age=3600"}


class _Kept:
    """An LRU-like cache of samples by name and style; the oldest is evicted."""

    def __init__(self) -> None:
        self._samples: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, voice: Any) -> bytes | None:
        return self._samples.get(_key(voice))

    def put(self, voice: Any, sample: bytes) -> None:
        self._samples[_key(voice)] = sample
        while len(self._samples) > _MAX_KEPT:
            self._samples.popitem(last=False)


def _key(voice: Any) -> bytes:
    """Cache key; a voice cloned again under the same name gets a new one."""
    return hashlib.sha256(voice.name.encode() + voice.style.cpu().numpy().tobytes()).digest()


def voice_samples_router(engines: Engines, admission: Admission) -> APIRouter:
    """A sample of each voice as MP3, generated on first request and cached."""
    router = APIRouter()
    kept = _Kept()
    headers = {**_HEADERS, **engines.mark_headers}

    @router.get("/v1/audio/voices/{name}/sample")
    async def sample(name: str) -> Response:
        try:
            voice = engines.voices.find(name)
        except InputError as error:
            raise HTTPException(404, str(error)) from None
        known = kept.get(voice)
        if known is not None:
            return Response(known, media_type=_TYPE, headers=headers)
        asked = SpeechOptions.model_validate(
            {"voice": voice.name, "response_format": "mp3", "seed": 1}
        )
        making = SpeechMaking(engines, asked, SAMPLE_TEXT)

        def make(production: Production[bytes]) -> Iterator[bytes]:
            whole = b""
            for piece in making.pieces(production):
                whole += piece.sound
                if piece.sound:
                    yield piece.sound
            kept.put(voice, whole)

        return ProducedResponse(admission, lambda: Production(make), _TYPE, headers)

    return router
