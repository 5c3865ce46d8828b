"""A local server with the fake speaker, for tests that need a real socket."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import uvicorn

import models.speaker  # noqa: F401 - heavy: a running server has it before its first visitor
from app.hub import Engines
from app.scripted import ScriptedResponder
from app.server import SOCKET_OPTIONS, ServerSettings, create_app
from app.voice_store import VoiceStore
from tests.app.fake_speaker import FakeSpeaker
from tests.app.stage import FakeRecognizer


def engines(*texts: str, **changes: Any) -> Engines:
    """Fake engines; `changes` replaces some of them, or the speaker, library and aliases of their
    voices."""
    speaker = changes.pop("speaker", None) or FakeSpeaker()
    store = VoiceStore(speaker, changes.pop("library", None), changes.pop("aliases", None))
    given: dict[str, Any] = {
        "voices": store,
        "recognizer": FakeRecognizer(*texts),
        "responders": {"built-in": ScriptedResponder()},
    }
    return Engines(**{**given, **changes})


@contextlib.contextmanager
def serving(engines: Engines, settings: ServerSettings | None = None) -> Iterator[tuple[str, Any]]:
    """Yields "127.0.0.1:port" and the application."""
    settings = settings or ServerSettings(page=False)
    app = create_app(engines, settings)
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_config=None,
        timeout_graceful_shutdown=1,
        **SOCKET_OPTIONS,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"127.0.0.1:{port}", app
    finally:
        server.should_exit = True
        thread.join(10)
