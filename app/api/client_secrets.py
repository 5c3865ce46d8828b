"""`POST /v1/realtime/client_secrets`: temporary keys that open realtime sessions with given
settings, so that a page need not hold the server's token."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.access import keys_of
from app.api.realtime_objects import session_object
from app.api.realtime_settings import RealtimeSettings, asked_settings
from app.hub import Hub

_PREFIX = "ek_"
_MOST = 1000
_PATHS = ("/v1/realtime", "/v1/realtime/calls")


class ClientSecrets:
    """The issued keys. In memory only: they are lost when the server stops.

    Args:
        clock: Unix time.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._given: OrderedDict[str, tuple[float, RealtimeSettings]] = OrderedDict()

    def make(self, settings: RealtimeSettings, seconds: int) -> tuple[str, int]:
        """A new key and its expiry time. Beyond the limit the oldest keys are dropped."""
        key, expires_at = _PREFIX + secrets.token_urlsafe(24), int(self._clock()) + seconds
        self._given[key] = (expires_at, settings)
        while len(self._given) > _MOST:
            self._given.popitem(last=False)
        return key, expires_at

    def settings_of(self, scope: Any) -> RealtimeSettings | None:
        """The settings of a request's key; None without a valid key."""
        now = self._clock()
        for key in keys_of(scope) if scope["path"] in _PATHS else ():
            expires_at, settings = self._given.get(key, (0.0, None))
            if now < expires_at:
                return settings
        return None


class _ExpiresAfter(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    anchor: Literal["created_at"] = "created_at"
    seconds: Annotated[int, Field(ge=10, le=7200)] = 600


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    expires_after: _ExpiresAfter | None = None
    session: dict[str, Any] | None = None


def client_secrets_router(hub: Hub, given: ClientSecrets) -> APIRouter:
    """The route that issues keys, stored in `given`."""
    router = APIRouter()

    @router.post("/v1/realtime/client_secrets")
    async def make(asked: _Asked) -> dict[str, Any]:
        settings = asked_settings(hub, asked.session or {})
        seconds = (asked.expires_after or _ExpiresAfter()).seconds
        key, expires_at = given.make(settings, seconds)
        name = f"sess_{secrets.token_hex(12)}"
        shown = session_object(name, settings, hub.engines)
        return {"value": key, "expires_at": expires_at, "session": shown}

    return router
