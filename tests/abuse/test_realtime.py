"""Attacks on conversations: unlimited text, garbage, crowds of slow or idle clients.

`launch.py test tests/abuse/test_realtime.py -m abuse -s`; about six minutes.
"""

import base64
import contextlib
import json
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import WebSocketException

from tests.abuse.server import MOST, Server, serving, typed

pytestmark = pytest.mark.abuse
SESSIONS = 8  # default of `--max-sessions`
REQUESTS = max(2, round(1.5 * (os.cpu_count() or 1)))
ATTACK_S, CLIENTS, CROWD = 40.0, 10, 300
AFTER_S = 30.0  # for a sentence right after an attack
CREATE = {"type": "response.create"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A warmed-up server."""
    with serving(tmp_path_factory.mktemp("voices")) as running:
        running.speak()
        yield running


@pytest.fixture(scope="module")
def working(server: Server) -> float:
    """Peak memory under the maximum number of concurrent replies, MB."""
    found = server.working_size(SESSIONS, REQUESTS)
    print(f"working size {found:.0f} MB")
    return found


def attack(server: Server, working: float, client: Callable[[random.Random, float], str]) -> None:
    """Runs `client` repeatedly, ten at once; checks memory meanwhile and speech afterwards."""
    answers: Counter[str] = Counter()
    server.peak, over = 0.0, time.monotonic() + ATTACK_S

    def again(chance: random.Random) -> None:
        while time.monotonic() < over:
            try:
                answers[client(chance, over)] += 1
            except (OSError, TimeoutError, WebSocketException) as error:
                answers[type(error).__name__] += 1
                time.sleep(0.1)

    threads = [threading.Thread(target=again, args=(random.Random(n),)) for n in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ATTACK_S + 60)
    print(f"at most {server.peak:.0f} MB, {server.peak / working:.2f} times; {dict(answers)}")
    assert server.peak <= MOST * working
    assert server.speak() < AFTER_S
    with server.realtime() as talk:
        assert json.loads(talk.recv(20))["type"] == "session.created"


def events(talk: Any, over: float) -> Iterator[dict[str, Any]]:
    while (left := over - time.monotonic()) > 0:
        try:
            yield json.loads(talk.recv(left))
        except TimeoutError:
            return


WORDS = "The quick brown fox jumped over the lazy dog while we waited. " * 40
TEXTS = {
    "words": WORDS,
    "digits": "7" * 1950,
    "letters and digits": "a1" * 975,
    "sentences of a letter": "x. " * 650,
    "dates and sums": "1999-12-31 $5.60 " * 114,
    "one word": "a" * 1950,
    "stops": ". , ; ! " * 240,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_without_a_limit(server: Server, working: float, text: str) -> None:
    def client(chance: random.Random, over: float) -> str:
        leaves = chance.random() < 0.5
        with server.realtime() as talk:
            for _ in range(20):
                talk.send(json.dumps(typed(text[:1950])))
            talk.send(json.dumps(CREATE))
            for event in events(talk, time.monotonic() + 6):
                if event["type"] == "response.done" or (leaves and "delta" in event["type"]):
                    return event["type"]
        return "no answer"

    attack(server, working, client)


def garbage(chance: random.Random) -> str | bytes:
    """A garbage frame, or an almost valid one."""
    sound = base64.b64encode(chance.randbytes(4801)).decode()
    update = {"type": "session.update", "session": {"instructions": "x" * 100_000}}
    item = typed("hello \ud800 there \udfff")
    return chance.choice(
        [
            chance.randbytes(chance.randrange(1, 90_000)),
            "[" * 20_000,
            '{"type": ' + "9" * 5000 + "}",
            '{"type": "conversation.item.truncate", "item_id": "a", "audio_end_ms": '
            + "9" * 4000
            + "}",
            '{"type": "conversation.item.truncate", "item_id": "a", "audio_end_ms": 1e999}',
            json.dumps(item),
            json.dumps({**item, "event_id": "\ud800" * 100}),
            json.dumps(update),
            json.dumps({"type": "session.update", "session": {"speed": 10**300}}),
            json.dumps({"type": "input_audio_buffer.append", "audio": sound}),
            json.dumps({"type": "input_audio_buffer.append", "audio": "\ud800====" * 100}),
            json.dumps({"type": "response.create", "response": {"metadata": {"a": ["b"] * 9000}}}),
            '{"type": "response.create", "response": ' + '{"a":' * 3000 + "1" + "}" * 3001,
            json.dumps({"type": "input_audio_buffer.commit"}),
            json.dumps(CREATE),
            "\x00" * 1000,
        ]
    )


def test_garbage(server: Server, working: float) -> None:
    def client(chance: random.Random, over: float) -> str:
        with server.realtime() as talk:
            for _ in range(40):
                talk.send(garbage(chance))
            for event in events(talk, time.monotonic() + 5):
                if event["type"] in ("error", "response.done"):
                    assert "server failed" not in str(event), event
            return "read"

    attack(server, working, client)


def test_lone_surrogates_and_huge_numbers_leave_the_session_alive(server: Server) -> None:
    with server.realtime() as talk:
        for text in (
            json.dumps(typed("one \ud800 two")),
            '{"type": "conversation.item.truncate", "item_id": "a", "audio_end_ms": %s}'
            % ("9" * 4200),
            json.dumps({"type": "nonsense", "event_id": "\udcff"}),
            json.dumps(CREATE),
        ):
            talk.send(text)
        kinds = [event["type"] for event in _until(talk, "response.done")]
        assert kinds.count("error") == 2
        assert "response.output_audio.delta" in kinds


def _until(talk: Any, kind: str) -> list[dict[str, Any]]:
    seen = []
    for event in events(talk, time.monotonic() + 60):
        seen.append(event)
        if event["type"] == kind:
            return seen
    raise AssertionError([event["type"] for event in seen])


def upgrade(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def speech() -> bytes:
    body = json.dumps({"input": WORDS, "response_format": "pcm"}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


OPENINGS = {
    "nothing": b"",
    "half a request": b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Le",
    "half a body": speech()[:-900],
    "speech, unread": speech(),
    "realtime, unread": upgrade("/v1/realtime"),
    "the page's conversation, unread": upgrade("/v1/conversation"),
    "an upload that never ends": (
        b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        b"multipart/form-data; boundary=x\r\nContent-Length: 20000000\r\n\r\n--x\r\n"
        b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + bytes(60_000)
    ),
}


@pytest.mark.parametrize("opening", OPENINGS.values(), ids=OPENINGS)
def test_hundreds_who_connect_and_hardly_read(
    server: Server, working: float, opening: bytes
) -> None:
    server.peak = 0.0
    with contextlib.ExitStack() as stack:
        crowd = []
        for _ in range(CROWD):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.settimeout(10)
            one.connect(("127.0.0.1", server.port))
            one.sendall(opening)
            crowd.append(stack.enter_context(one))
        time.sleep(5)
        alive = time.monotonic()
        assert _healthy(server)
        took = time.monotonic() - alive
        time.sleep(10)
        peak = server.peak
    print(f"{CROWD}: at most {peak:.0f} MB, {peak / working:.2f} times; healthz {took:.2f} s")
    assert peak <= MOST * working
    _wait_for_room(server)
    assert server.speak() < 30


def test_hundreds_of_idle_conversations(server: Server, working: float) -> None:
    server.peak, kept, refused = 0.0, 0, 0
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD):
            talk = stack.enter_context(server.realtime(open_timeout=30))
            first = json.loads(talk.recv(30))
            kept += first["type"] == "session.created"
            refused += first["type"] == "error" and "are in use" in first["error"]["message"]
        assert server.speak() < 30
        print(f"{kept} kept, {refused} refused in words, at most {server.peak:.0f} MB")
        assert kept == SESSIONS and kept + refused == CROWD
        assert server.peak <= MOST * working
    _wait_for_room(server)


def _healthy(server: Server) -> bool:
    return httpx.get(f"{server.url}/healthz", timeout=10).is_success


def _wait_for_room(server: Server) -> None:
    """Fails unless a new conversation is admitted soon after a crowd has left."""
    end = time.monotonic() + 15
    while time.monotonic() < end:
        with contextlib.suppress(OSError, TimeoutError, WebSocketException), server.realtime() as t:
            if json.loads(t.recv(10))["type"] == "session.created":
                return
        time.sleep(0.3)
    raise AssertionError("the places are still taken")
