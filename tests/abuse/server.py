"""A server with the bundled models in its own process, whose memory is monitored."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

ROOT = Path(__file__).resolve().parents[2]
MOST = 1.5
"""Times its working size, which memory may reach under an attack."""
_ADDRESS_SPACE = 12 << 30  # a server that runs away fails alone
_LONG = "The train was late and we waited near the old bridge. " * 30
_LOOK_S = 0.02


class Server:
    """Attributes:
    url: base URL.
    peak: peak memory of it and its children, MB.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process, self.port = process, port
        self.url, self.peak = f"http://127.0.0.1:{port}", 0.0
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    @property
    def memory(self) -> float:
        """Resident memory of it and its children, MB."""
        return resident(self.process.pid)

    def speak(self) -> float:
        """Seconds to synthesise a sentence."""
        asked = {"input": "The train leaves at nine.", "response_format": "pcm", "seed": 1}
        started = time.monotonic()
        answer = httpx.post(f"{self.url}/v1/audio/speech", json=asked, timeout=120)
        assert answer.status_code == 200 and len(answer.content) > 20_000
        return time.monotonic() - started

    def realtime(self, **options: Any) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/v1/realtime", max_size=None, **options)

    def working_size(self, conversations: int, requests: int) -> float:
        """Peak memory under the maximum number of concurrent replies, MB."""
        self.peak, over = 0.0, time.monotonic() + 20
        work = [threading.Thread(target=self._converse, args=(over,)) for _ in range(conversations)]
        work += [threading.Thread(target=self._request, args=(over,)) for _ in range(requests)]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join(120)
        return self.peak

    def _converse(self, over: float) -> None:
        with contextlib.suppress(TimeoutError, WebSocketException), self.realtime() as talk:
            while time.monotonic() < over:
                talk.send(json.dumps(typed("Tell me a story, a long one, about the old bridge")))
                talk.send(json.dumps({"type": "response.create"}))
                while json.loads(talk.recv(20))["type"] != "response.done":
                    if time.monotonic() > over:
                        return

    def _request(self, over: float) -> None:
        asked = {"input": _LONG, "response_format": "pcm"}
        with httpx.stream("POST", f"{self.url}/v1/audio/speech", json=asked, timeout=60) as answer:
            assert answer.status_code == 200, answer.read()
            for _ in answer.iter_bytes():
                if time.monotonic() > over:
                    return

    def _watch(self) -> None:
        while self.process.poll() is None:
            self.peak = max(self.peak, self.memory)
            time.sleep(_LOOK_S)


def typed(text: str) -> dict[str, Any]:
    """The realtime event that adds a typed message."""
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    return {"type": "conversation.item.create", "item": item}


def resident(pid: int) -> float:
    """Memory of a process and its children, MB."""
    with contextlib.suppress(OSError, IndexError):
        status = Path(f"/proc/{pid}/status").read_text()
        own = int(status.split("VmRSS:")[1].split()[0]) / 1024
        lists = Path(f"/proc/{pid}/task").glob("*/children")  # each thread has its own
        children = [child for one in lists for child in one.read_text().split()]
        return own + sum(resident(int(child)) for child in children)
    return 0.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(
    voices: Path,
    *options: str,
    verb: str = "serve",
    limits: dict[int, int] | None = None,
    **environment: str,
) -> Iterator[Server]:
    """Starts a server.

    Args:
        voices: the folder of cloned voices.
        options: command-line options.
        verb: `serve`, or `chat` for a server with the page.
        limits: resource limits besides address space.
        environment: additional variables.
    """
    limits = {resource.RLIMIT_AS: _ADDRESS_SPACE, **(limits or {})}

    def limit() -> None:
        for kind, most in limits.items():
            resource.setrlimit(kind, (most, most))

    port = free_port()
    command = [sys.executable, "launch.py", "--no-venv", verb, "--port", str(port), *options]
    environment = {**os.environ, "REPARTEE_VOICES": str(voices), **environment}
    with subprocess.Popen(command, cwd=ROOT, env=environment, preexec_fn=limit) as process:
        try:
            wait_ready(process, f"http://127.0.0.1:{port}")
            yield Server(process, port)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_ready(process: "subprocess.Popen[bytes]", url: str) -> None:
    """Waits until it answers."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert process.poll() is None
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/healthz", timeout=5).is_success:
                return
        time.sleep(0.3)
    raise AssertionError("the server does not start")
