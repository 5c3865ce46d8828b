"""`launch.py chat` as a user starts it, in its own process, with the bundled models."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
_START_S = 240


@contextlib.contextmanager
def running(*options: str, scheme: str = "http") -> Iterator[str]:
    """Yields the page's address; shows the server's output if it does not start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "launch.py"), "--no-venv", "chat", "--no-browser"]
    url = f"{scheme}://127.0.0.1:{port}/"
    with subprocess.Popen(
        [*command, "--port", str(port), *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "GRADIO_ANALYTICS_ENABLED": "False"},
    ) as process:
        try:
            _wait(process, url + "healthz")
            yield url
        finally:
            process.terminate()
            _, said = process.communicate(timeout=60)
            assert "Traceback" not in said, said


def _wait(process: subprocess.Popen, url: str) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()[1]
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, verify=False, timeout=5).is_success:
                return
        time.sleep(0.3)
    raise AssertionError(f"{url} does not answer after {_START_S} s")
