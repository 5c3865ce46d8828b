"""Two hundred clients of each format and interface disconnect at random moments.

Threads and memory of a server with the bundled models then return to their initial values, and
memory never exceeds 1.5 times that of the maximum number of concurrent replies.

`launch.py test tests/abuse/test_leaving.py -m abuse -s`; about nine minutes.
"""

import asyncio
import contextlib
import json
import os
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from aiortc import RTCSessionDescription
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.abuse.server import MOST, Server, serving
from tests.abuse.test_media import wav
from tests.app.caller import Caller
from tests.app.page_visitor import clone_on_page
from tests.app.voice_sound import espeak_voice

pytestmark = pytest.mark.abuse

CLIENTS, AT_ONCE, LONGEST_S = 200, 20, 1.5
SETTLE_S = 60.0
REQUESTS = max(2, round(1.5 * (os.cpu_count() or 1)))  # as many as it admits at once
TEXT = "The train was late and we waited near the old bridge. " * 30
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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    voices = tmp_path_factory.mktemp("voices")
    with serving(voices, "--max-sessions", str(AT_ONCE), verb="chat") as running:
        yield running


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
    talk = connect(f"ws://127.0.0.1:{server.port}{path}", max_size=None, open_timeout=60)
    try:
        for message in TALKS[path]:
            talk.send(json.dumps(message))
        while (left := until - time.monotonic()) > 0:
            talk.recv(left)
    except (TimeoutError, WebSocketException):
        pass
    if abruptly:
        with contextlib.suppress(OSError):  # refused: the server has closed it
            talk.socket.shutdown(socket.SHUT_RDWR)
    talk.close()


def leave_call(server: Server, after_s: float, abruptly: bool) -> None:
    """A WebRTC call that hangs up, or whose caller vanishes."""

    async def call() -> None:
        caller = Caller()
        async with httpx.AsyncClient(timeout=30) as http:
            headers = {"Content-Type": "application/sdp"}
            url, offer = f"{server.url}/v1/realtime/calls", await caller.offer()
            answer = await http.post(url, content=offer, headers=headers)
        if answer.status_code == 201:
            description = RTCSessionDescription(answer.text, "answer")
            await caller.peer.setRemoteDescription(description)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(after_s):
                    await caller.until("session.created")
                    for message in TALKS["/v1/realtime"]:
                        caller.data.send(json.dumps(message))
                    await asyncio.Event().wait()
        if not abruptly:
            await caller.peer.close()

    asyncio.run(call())


def leave_page(server: Server, after_s: float, abruptly: bool) -> None:
    """A visitor who loads the page, or part of it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.settimeout(after_s + 0.01)
        with contextlib.suppress(TimeoutError):
            connection.recv(1000 if abruptly else 1 << 20)


def leave_cloning(server: Server, after_s: float, clip: bytes) -> None:
    with contextlib.suppress(httpx.HTTPError, TypeError):  # refused: the queue is full
        clone_on_page(server.url, clip, after_s)


def crowd(leave: Callable[[float, bool], None], seed: int, clients: int = CLIENTS) -> None:
    chance = random.Random(seed)
    moments = [(chance.random() * LONGEST_S, chance.random() < 0.5) for _ in range(clients)]
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
    clip = wav(espeak_voice()[: 6 * 24_000])
    found["WebRTC calls"] = leave_call
    found["the page"] = leave_page
    found["the cloning tab"] = lambda server, after, _: leave_cloning(server, after, clip)
    return {**found, **{path: talk(path) for path in TALKS}}


def test_two_hundred_of_each_leave_nothing_behind(server: Server) -> None:
    for name, leave in waves().items():  # creates everything that is created once
        leave(server, 4.0, False)
        print(f"warm: {name}", flush=True)
    # Calls resolve addresses in asyncio's own pool, which keeps its few threads.
    crowd(lambda after, abruptly: leave_call(server, after, abruptly), CLIENTS, AT_ONCE)
    working = server.working_size(conversations=AT_ONCE, requests=REQUESTS)
    time.sleep(40)  # a conversation of the page waits for its listener for 30 s
    threads, memory = server.threads, server.memory
    print(f"before: {threads} threads, {memory:.0f} MB; at work: {working:.0f} MB")
    for seed, (name, leave) in enumerate(waves().items()):
        started, server.peak = time.monotonic(), 0.0
        crowd(lambda after, abruptly, leave=leave: leave(server, after, abruptly), seed)
        took = time.monotonic() - started
        time.sleep(1)
        print(
            f"{name}: {CLIENTS} clients in {took:.0f} s, at most {server.peak:.0f} MB; a second "
            f"later {server.threads} threads, {server.memory:.0f} MB",
            flush=True,
        )
        assert server.peak <= MOST * working
    time.sleep(SETTLE_S)
    after = server.threads, server.memory
    print(f"a minute later: {after[0]} threads, {after[1]:.0f} MB")
    assert after[0] <= 1.05 * threads
    assert after[1] <= 1.05 * memory
