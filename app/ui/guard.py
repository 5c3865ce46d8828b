"""Middleware around Gradio: allows only the routes of its page, and turns crashes into 400."""

import json
import logging
from collections.abc import Sequence
from typing import Any

import gradio
from fastapi import FastAPI
from starlette.routing import BaseRoute, Match, Mount

from app.api.errors import ApiError, error_body
from data.files import explain, is_trouble_of_machine

logger = logging.getLogger(__name__)

_API = "/gradio_api"
_PATHS = frozenset(
    [
        *("/", "/config", "/theme.css", "/manifest.json", "/favicon.ico", "/robots.txt"),
        *(f"{_API}/queue/{name}" for name in ("join", "data", "status")),
        *(f"{_API}/{name}" for name in ("app_id", "cancel", "info", "reset", "startup-events")),
        *(f"{_API}/{name}" for name in ("theme.css", "upload", "upload_progress")),
    ]
)
_FOLDERS = ("/assets/", "/static/", "/svelte/", "/pwa_icon", f"{_API}/heartbeat/", f"{_API}/file=")
_MAX_PATH = 4096


def mount_page(app: FastAPI, page: Any, **options: Any) -> None:
    """Serves a Gradio page at `/`; existing routes of `app` take precedence."""
    gradio.mount_gradio_app(
        app,
        page,
        path="/",
        ssr_mode=False,
        show_error=True,
        max_file_size="20mb",
        footer_links=[],
        **options,
    )
    mounted = app.routes[-1]
    assert isinstance(mounted, Mount)
    mounted.app = PageGuard(mounted.app, app.routes[:-1])


class PageGuard:
    """ASGI middleware.

    Gradio answers malformed requests with a traceback and 500; here they get a 400 and a log line.
    Gradio's routes for APIs, proxies, recordings and dashboards get a 404; our API is `/v1`.

    Args:
        app: Gradio's application.
        others: the routes that take precedence; their paths get here with a wrong method.
    """

    def __init__(self, app: Any, others: Sequence[BaseRoute] = ()) -> None:
        self._app, self._others = app, others

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if len(path) > _MAX_PATH or not (path in _PATHS or path.startswith(_FOLDERS)):
            if any(route.matches(scope)[0] is Match.PARTIAL for route in self._others):
                message = f"{scope['method']} is not possible at {path[:200]}"
                await _answer(send, 405, message, "method_not_allowed")
            else:
                await _answer(send, 404, f"there is nothing at {path[:200]}", "not_found")
            return
        outcome = _Outcome(send)
        failure: Exception | None = None
        try:
            await self._app(scope, receive, outcome.send)
        except Exception as error:
            if outcome.begun:
                raise
            failure = error
        if failure is None and not outcome.withheld:
            return
        logger.warning("%s %.200s failed: %r", scope["method"], path, failure)
        if isinstance(failure, OSError) and is_trouble_of_machine(failure):
            await _answer(send, 507, explain(failure))
        else:
            await _answer(send, 400, "malformed request")


class _Outcome:
    """Forwards a response, but withholds one with a status of 500 or above."""

    def __init__(self, send: Any) -> None:
        self._send = send
        self.begun = False
        self.withheld = False

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 500:
            self.withheld = True
        if not self.withheld:
            self.begun = True
            await self._send(message)


async def _answer(send: Any, status: int, message: str, code: str | None = None) -> None:
    body = json.dumps(error_body(ApiError(message, status=status, code=code))).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
