"""Visitors' recordings are removed with the server, however it ends."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.app.test_uploads import wav
from tests.app.user_sound import speechlike

ROOT = Path(__file__).parents[2]
# A server for each line with a port, one after the other, since the imports take long.
SERVERS = """
import os, sys, uvicorn
from app.server import ServerSettings, create_app
from tests.app.live import engines
for port in sys.stdin:
    process = os.fork()
    if not process:
        app = create_app(engines(), ServerSettings(page=True))
        uvicorn.run(app, port=int(port), log_level="error")
        sys.exit()
    print(process, flush=True)
    os.waitpid(process, 0)
    print("ended", flush=True)
"""


class Servers:
    """Servers with a page and their temporary files under `folder`; killed at the end."""

    def __init__(self, folder: Path) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-c", SERVERS],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._running = 0

    def start(self, port: int) -> None:
        """Returns once the server answers."""
        assert self._parent.stdin is not None
        print(port, file=self._parent.stdin, flush=True)
        self._running = int(self._line())
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{port}/healthz").is_success:
                    return
            time.sleep(0.1)
        raise TimeoutError

    def end(self, with_signal: int) -> None:
        """Returns once the server has ended."""
        os.kill(self._running, with_signal)
        assert self._line() == "ended"
        self._running = 0

    def close(self) -> None:
        if self._running:
            os.kill(self._running, signal.SIGKILL)
        self._parent.kill()
        self._parent.communicate()

    def _line(self) -> str:
        assert self._parent.stdout is not None
        return self._parent.stdout.readline().strip()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def upload(port: int) -> str:
    """Uploads a recording as the page does; returns its path on the server."""
    files = {"files": ("my voice.wav", wav(speechlike(1.0)).getvalue())}
    answer = httpx.post(f"http://127.0.0.1:{port}/gradio_api/upload", files=files, timeout=60)
    (path,) = answer.json()
    return path


def recordings(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix == ".wav"]


def test_recordings_are_removed_with_the_server_or_after_a_kill_by_the_next(
    tmp_path: Path, unused_port: int
) -> None:
    with contextlib.closing(Servers(tmp_path)) as servers:
        servers.start(unused_port)
        path = Path(upload(unused_port))
        assert recordings(tmp_path) == [path]
        servers.end(signal.SIGKILL)
        assert len(recordings(tmp_path)) == 1
        servers.start(unused_port)
        assert recordings(tmp_path) == []
        upload(unused_port)
        assert len(recordings(tmp_path)) == 1
        servers.end(signal.SIGTERM)
    assert list(tmp_path.glob("repartee-page-*")) == []
    assert recordings(tmp_path) == []
