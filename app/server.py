"""One application: page, WebSocket, HTTP routes, and the door around them."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.staticfiles import StaticFiles

from app.access import Access, AccessSettings
from app.api.admission import Admission, AdmissionSettings
from app.api.client_secrets import ClientSecrets, client_secrets_router
from app.api.conversation import conversation_router
from app.api.errors import add_error_handlers
from app.api.health import health_router
from app.api.models import models_router
from app.api.realtime import realtime_router
from app.api.speech import speech_router
from app.api.speech_stream import speech_stream_router
from app.api.transcriptions import transcriptions_router
from app.api.voice_samples import voice_samples_router
from app.api.voices import voices_router
from app.hub import Engines, Hub, HubSettings
from app.memory import give_back
from app.metrics import Metrics
from app.security_headers import SecurityHeaders
from app.ui.page_files import PageFiles
from app.websocket import ListenerSocket
from data.files import explain

logger = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "ui" / "static"

# Of `uvicorn.Config`: how much a listener may send, and how soon one who vanished is noticed.
SOCKET_OPTIONS: dict[str, Any] = {
    "ws": ListenerSocket,
    "ws_max_size": 1 << 17,
    "ws_ping_interval": 2.0,
    "ws_ping_timeout": 2.5,
    "backlog": 128,  # so often does asyncio try again at once when no more files can be opened
}
_SWEEP_S = 1.0
_GIVE_BACK_TURNS = 2  # a crowd that comes and goes leaves some 10 MB free a second


@dataclass(frozen=True)
class ServerSettings:
    """The whole application's."""

    access: AccessSettings = field(default_factory=AccessSettings)
    hub: HubSettings = field(default_factory=HubSettings)
    page: bool = True
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)


def create_app(engines: Engines, settings: ServerSettings | None = None) -> FastAPI:
    """Builds the application around engines that are loaded already; it serves nothing yet."""
    settings = settings or ServerSettings()
    metrics = Metrics()
    hub = Hub(engines, settings.hub, metrics)
    admission = Admission(settings.admission)
    page_files = PageFiles() if settings.page else None

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(hub))
        yield
        sweeper.cancel()
        hub.close()
        engines.uploads.close()
        if page_files is not None:
            page_files.close()

    app = FastAPI(title="Repartee", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.hub = hub
    client_secrets = ClientSecrets()
    for router in (
        health_router(hub),
        conversation_router(hub),
        realtime_router(hub, client_secrets),
        client_secrets_router(hub, client_secrets),
        speech_router(engines, admission),
        speech_stream_router(engines, admission),
        transcriptions_router(engines),
        voices_router(engines),
        voice_samples_router(engines, admission),
        models_router(engines),
    ):
        app.include_router(router)
    add_error_handlers(app)
    if settings.page:
        app.mount("/repartee", StaticFiles(directory=STATIC), name="repartee")
        from app.ui.guard import mount_page
        from app.ui.page import HEAD, build_page, theme  # brings Gradio, which `serve` needs not

        mount_page(app, build_page(engines), theme=theme(), head=HEAD)
    _add_doors(app, settings.access, metrics, client_secrets)
    return app


def _add_doors(
    app: FastAPI, access: AccessSettings, metrics: Metrics, client_secrets: ClientSecrets
) -> None:
    app.add_middleware(
        Access,
        settings=access,
        metrics=metrics,
        has_ticket=lambda scope: client_secrets.settings_of(scope) is not None,
    )
    if access.origins:
        # Outside the door: a browser asks whether it may send a token before it sends one.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.origins,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=("*",),  # OpenAI's clients send a dozen of their own
            expose_headers=("Retry-After",),
            allow_private_network=True,  # the origins were named for that
        )
    app.add_middleware(SecurityHeaders)


async def _sweep(hub: Hub) -> None:
    # by the server's own clock: who closed the last tab leaves nobody else to do it
    for turn in itertools.count():
        await asyncio.sleep(_SWEEP_S)
        hub.sweep()
        if turn % _GIVE_BACK_TURNS == 0:
            # In a thread of AnyIO, which ends those that a crowd has left idle when it lends one.
            await run_in_threadpool(give_back)
        try:
            await asyncio.to_thread(hub.engines.voices.sync)
        except OSError as error:
            logger.warning("the library of voices cannot be read: %s", explain(error))
