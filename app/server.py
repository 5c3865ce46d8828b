"""Builds the web application: page, WebSockets, HTTP routes, and access control."""

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
from app.api.calls import Calls, calls_router
from app.api.client_secrets import ClientSecrets, client_secrets_router
from app.api.conversation import conversation_router
from app.api.errors import add_error_handlers
from app.api.health import health_router
from app.api.models import models_router
from app.api.realtime import realtime_router
from app.api.response_headers import EXPOSED
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

# Arguments of `uvicorn.Config`: limits of WebSocket messages, and detection of lost clients.
SOCKET_OPTIONS: dict[str, Any] = {
    "ws": ListenerSocket,
    "ws_max_size": 1 << 17,
    "ws_per_message_deflate": False,  # audio hardly shrinks, and it takes processor time
    "ws_ping_interval": 2.0,
    "ws_ping_timeout": 2.5,
    "backlog": 128,  # asyncio retries this often at once when it runs out of file descriptors
}
_SWEEP_S = 1.0
_GIVE_BACK_TURNS = 2  # clients that come and go free some 10 MB per second


@dataclass(frozen=True)
class ServerSettings:
    """Settings of the whole application."""

    access: AccessSettings = field(default_factory=AccessSettings)
    hub: HubSettings = field(default_factory=HubSettings)
    page: bool = True
    admission: AdmissionSettings = field(default_factory=AdmissionSettings)


def create_app(engines: Engines, settings: ServerSettings | None = None) -> FastAPI:
    """Builds the application around loaded engines, without starting a server."""
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
        await calls.close()
        hub.close()
        engines.uploads.close()
        if page_files is not None:
            page_files.close()

    app = FastAPI(title="Repartee", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.hub = hub
    client_secrets, calls = ClientSecrets(), Calls(hub)
    for router in (
        health_router(hub),
        conversation_router(hub),
        realtime_router(hub, client_secrets),
        calls_router(hub, calls, client_secrets),
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
        from app.ui.page import (
            HEAD,
            build_page,
            theme,
        )  # imports Gradio, which `serve` does not need

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
        # Outside access control, since browsers send preflight requests without a token.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=access.origins,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=("*",),  # OpenAI's clients send a dozen of their own
            expose_headers=EXPOSED,
            allow_private_network=True,  # as the origins were allowed explicitly
        )
    app.add_middleware(SecurityHeaders)


async def _sweep(hub: Hub) -> None:
    # periodically, since no request follows when the last tab is closed
    for turn in itertools.count():
        await asyncio.sleep(_SWEEP_S)
        hub.sweep()
        if turn % _GIVE_BACK_TURNS == 0:
            # In an AnyIO thread: borrowing one makes AnyIO end threads that have become idle.
            await run_in_threadpool(give_back)
        try:
            await asyncio.to_thread(hub.engines.voices.sync)
        except OSError as error:
            logger.warning("the voice library cannot be read: %s", explain(error))
