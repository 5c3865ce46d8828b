"""Visitors' recordings are removed with the server, however it ends."""

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
KILLED = """
import os, signal
from app.ui.page_files import PageFiles
files = PageFiles()
(files.path / "voice.wav").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""
SERVER = """
import sys, uvicorn
from app.server import ServerSettings, create_app
from tests.app.live import engines
app = create_app(engines(), ServerSettings(page=True))
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def start(program: str, folder: Path, *arguments: str) -> subprocess.Popen:
    """Runs Python code whose temporary files lie under `folder`."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stderr=subprocess.DEVNULL,
    )


def wait_for_answer(port: int) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz").raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise TimeoutError


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[subprocess.Popen]:
    """A server with a page, started after another was killed."""
    assert start(KILLED, tmp_path).wait() == -signal.SIGKILL
    assert len(recordings(tmp_path)) == 1
    process = start(SERVER, tmp_path, str(port))
    try:
        wait_for_answer(port)
        yield process
    finally:
        process.kill()
        process.wait()


def upload(port: int) -> Path:
    """Uploads a recording as the page does; returns its path on the server."""
    files = {"files": ("my voice.wav", wav(speechlike(1.0)).getvalue())}
    answer = httpx.post(f"http://127.0.0.1:{port}/gradio_api/upload", files=files, timeout=60)
    (path,) = answer.json()
    return Path(path)


def recordings(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix == ".wav"]


def test_recordings_are_removed_with_the_server_or_after_a_kill_by_the_next(
    tmp_path: Path, port: int, server: subprocess.Popen
) -> None:
    assert recordings(tmp_path) == []
    path = upload(port)
    assert recordings(tmp_path) == [path]
    server.send_signal(signal.SIGTERM)
    server.wait(60)
    assert list(tmp_path.glob("repartee-page-*")) == []
    assert recordings(tmp_path) == []
