"""Visitors' recordings are removed with the server, however it ends."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.app.test_uploads import wav
from tests.app.user_sound import speechlike

ROOT = Path(__file__).parents[2]
SERVER = """
import sys, uvicorn
from app.server import ServerSettings, create_app
from tests.app.live import engines
uvicorn.run(create_app(engines(), ServerSettings(page=True)), port=int(sys.argv[1]))
"""


@contextlib.contextmanager
def server(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server with a page and its temporary files under `folder`; killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            end = time.monotonic() + 120
            while time.monotonic() < end:
                assert process.poll() is None
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(f"http://127.0.0.1:{port}/healthz").is_success:
                        break
                time.sleep(0.1)
            yield process
        finally:
            process.kill()


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
    with server(tmp_path, unused_port) as process:
        path = Path(upload(unused_port))
        assert recordings(tmp_path) == [path]
        process.kill()
        process.wait()
    assert len(recordings(tmp_path)) == 1
    with server(tmp_path, unused_port) as process:
        assert recordings(tmp_path) == []
        upload(unused_port)
        assert len(recordings(tmp_path)) == 1
        process.send_signal(signal.SIGTERM)
        process.wait(30)
    assert list(tmp_path.glob("repartee-page-*")) == []
    assert recordings(tmp_path) == []
