"""Two hundred clients of each format and interface leave at random moments.

Threads and memory of a server with the bundled models are then what they were before the first.
"""

import json
import random
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

pytestmark = pytest.mark.abuse

CLIENTS, AT_ONCE, LONGEST_S = 200, 20, 1.5
SETTLE_S = 60.0
ADDRESS_SPACE = 12 << 30
TEXT = "The train was late and we waited near the old bridge. " * 30
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import sys; from app.chat import main_serve; sys.exit(main_serve(sys.argv[1:]))"
ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a story"}]}
TALKS: dict[str, list[dict[str, Any]]] = {
    "/v1/conversation": [
        {"type": "start", "protocol": 1, "sample_rate": 24_000},
        {"type": "text", "text": "Tell me a story"},
    ],
    "/v1/realtime": [
        {"type": "conversation.item.create", "item": ITEM},
        {"type": "response.create"},
    ],
}


@dataclass(frozen=True)
class Server:
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    @property
    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    port = free_port()
    options = ["--port", str(port), "--max-sessions", "64"]
    command = [sys.executable, "-c", PROGRAM, *options]
    with subprocess.Popen(command, cwd=ROOT, preexec_fn=limited) as process:
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/healthz").raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.2)
            yield Server(port, process)
        finally:
            process.terminate()
            process.wait(20)


def leave_speech(server: Server, after_s: float, kind: str, stream: str, abruptly: bool) -> None:
    asked = {"input": TEXT, "response_format": kind, "stream_format": stream}
    body = json.dumps(asked).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        until = time.monotonic() + after_s
        while (left := until - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                if not connection.recv(65536):
                    return
            except TimeoutError:
                break
        if abruptly:
            now = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)


def leave_talk(server: Server, after_s: float, path: str, abruptly: bool) -> None:
    until = time.monotonic() + after_s
    try:
        talk = connect(f"ws://127.0.0.1:{server.port}{path}", max_size=None)
        for message in TALKS[path]:
            talk.send(json.dumps(message))
        while (left := until - time.monotonic()) > 0:
            talk.recv(left)
    except (TimeoutError, WebSocketException):
        pass
    if abruptly:
        talk.socket.shutdown(socket.SHUT_RDWR)
    talk.close()


def crowd(leave: Callable[[float, bool], None], seed: int) -> None:
    chance = random.Random(seed)
    moments = [(chance.random() * LONGEST_S, chance.random() < 0.5) for _ in range(CLIENTS)]
    places = threading.Semaphore(AT_ONCE)

    def one(after_s: float, abruptly: bool) -> None:
        with places:
            leave(after_s, abruptly)

    threads = [threading.Thread(target=one, args=moment) for moment in moments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


def waves() -> dict[str, Callable[[Server, float, bool], None]]:
    def speech(kind: str, stream: str) -> Callable[[Server, float, bool], None]:
        return lambda server, after, abruptly: leave_speech(server, after, kind, stream, abruptly)

    def talk(path: str) -> Callable[[Server, float, bool], None]:
        return lambda server, after, abruptly: leave_talk(server, after, path, abruptly)

    found = {
        f"{kind} {stream}": speech(kind, stream)
        for kind in ("mp3", "opus", "aac", "flac", "wav", "pcm")
        for stream in ("audio", "sse")
    }
    return {**found, **{path: talk(path) for path in TALKS}}


def test_two_hundred_of_each_leave_nothing_behind(server: Server) -> None:
    for name, leave in waves().items():  # whatever is made once is made now
        leave(server, 4.0, False)
        print(f"warm: {name}", flush=True)
    time.sleep(40)  # a conversation of the page waits for its listener for 30 s
    threads, memory = server.threads, server.memory_mb
    print(f"before: {threads} threads, {memory:.0f} MB")
    for seed, (name, leave) in enumerate(waves().items()):
        started = time.monotonic()
        crowd(lambda after, abruptly, leave=leave: leave(server, after, abruptly), seed)
        took = time.monotonic() - started
        time.sleep(1)
        print(
            f"{name}: {CLIENTS} clients in {took:.0f} s, a second later {server.threads} threads, "
            f"{server.memory_mb:.0f} MB",
            flush=True,
        )
    time.sleep(SETTLE_S)
    after = server.threads, server.memory_mb
    print(f"a minute later: {after[0]} threads, {after[1]:.0f} MB")
    assert after[0] <= 1.05 * threads
    assert after[1] <= 1.05 * memory
