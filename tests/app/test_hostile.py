"""Two thousand malformed and hostile messages and requests: each is answered."""

import contextlib
import http.client
import json
import random
import struct
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from app.hub import HubSettings
from app.server import ServerSettings
from tests.app.live import engines, serving
from tests.app.test_server import opened, until

START = {"type": "start", "protocol": 1, "sample_rate": 24_000}
NUM_MESSAGES, NUM_REQUESTS = 1400, 600


def hostile_messages(seed: int) -> Iterator[str | bytes]:
    """Endless, seeded."""
    rng = random.Random(seed)
    kinds = ["start", "settings", "text", "stop", "playback", "measured", "ping", "end", "x", ""]
    values: list[Any] = [
        None, True, -1, 2**40, 1e308, float("inf"), float("nan"), "", "../../etc/passwd",
        "x" * 3000, [], {}, {"a": {"b": []}}, "\x00\ud800", "'; drop table --",
        "<script>alert(1)</script>",
    ]  # fmt: skip
    names = ["protocol", "sample_rate", "session", "settings", "text", "reply", "played", "voice",
             "finished", "underruns", "first_audio_ms", "at", "weights", "path",
             "__class__"]  # fmt: skip
    while True:
        choice = rng.random()
        if choice < 0.15:
            yield rng.randbytes(rng.choice([1, 3, 7, 961, 30_001, 60_000]))
        elif choice < 0.25:
            yield "".join(chr(rng.randrange(32, 0x2FF)) for _ in range(rng.randrange(1, 200)))
        elif choice < 0.30:
            yield rng.choice(
                ["[" * 5000, "{}", "[]", "null", "0", '"start"', "x" * 20_000, "{" * 99]
            )
        else:
            fields = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(4))}
            fields["surely_unknown"] = rng.choice(values)
            yield json.dumps({"type": rng.choice(kinds), **fields})


def answered(socket: ClientConnection) -> bool:
    """Whether the next message is an error; a closed connection is an answer too."""
    try:
        message = socket.recv(60)
    except ConnectionClosed:
        return True
    return not isinstance(message, bytes) and json.loads(message)["type"] == "error"


def test_each_hostile_message_is_answered() -> None:
    settings = ServerSettings(hub=HubSettings(max_sessions=4), page=False)
    messages = hostile_messages(7)
    with serving(engines(), settings) as (place, app), opened(place) as (good, _):
        sent = 0
        while sent < NUM_MESSAGES:
            with connect(f"ws://{place}/v1/conversation") as socket:
                if sent % 3:
                    socket.send(json.dumps(START))
                    assert json.loads(socket.recv(60))["type"] == "session"
                for _ in range(40):
                    message = next(messages)
                    sent += 1
                    try:
                        socket.send(message)
                    except ConnectionClosed:
                        break
                    assert answered(socket), message[:100]
        # the others go on, and nothing is left behind
        good.send(json.dumps({"type": "text", "text": "my name is anna"}))
        assert "Anna" in until(good, "reply.text")[0]["text"]
        assert app.state.hub.num_live <= 2


@pytest.mark.parametrize("size", [200_000, 5_000_000])
def test_a_huge_frame_closes_only_its_own_connection(size: int) -> None:
    with serving(engines()) as (place, _), opened(place) as (good, _):
        with (
            pytest.raises(ConnectionClosed),
            connect(f"ws://{place}/v1/conversation") as socket,
        ):
            socket.send(b"\0" * size)
            while True:
                socket.recv(60)
        good.send(json.dumps({"type": "ping", "at": 1}))
        assert until(good, "pong")


def test_wrong_rate_protocol_and_order_are_rejected() -> None:
    cases = [
        ({**START, "sample_rate": 48_000}, "wrong_rate"),
        ({**START, "protocol": 2}, "wrong_protocol"),
        ({"type": "text", "text": "hello"}, "not_started"),
        ({"type": "start"}, "missing_field"),
        ({**START, "settings": {"voice": "../slt"}}, "unknown_voice"),
        ({**START, "settings": {"silence_ms": 1}}, "out_of_range"),
        ({**START, "settings": {"weights": "/etc"}}, "unknown_field"),
    ]
    with serving(engines()) as (place, _):
        for message, code in cases:
            with connect(f"ws://{place}/v1/conversation") as socket:
                socket.send(json.dumps(message))
                assert json.loads(socket.recv(60))["code"] == code


def test_audio_faster_than_real_time_is_rejected() -> None:
    with serving(engines()) as (place, _), opened(place) as (socket, _):
        with contextlib.suppress(ConnectionClosed):
            for _ in range(400):
                socket.send(bytes(9600))
        events = []
        with pytest.raises(ConnectionClosed):
            while True:
                events.append(json.loads(socket.recv(60)))
        assert [event["code"] for event in events if event["type"] == "error"][-1:] == ["too_fast"]


def request(place: str, method: str, path: str, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(place, timeout=60)
    try:
        # http.client would refuse some of these paths itself
        connection.putrequest(method, "/", skip_accept_encoding=True)
        connection._buffer[0] = f"{method} {path} HTTP/1.1".encode("latin-1")
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        return connection.getresponse().status
    except (ConnectionError, http.client.HTTPException):
        return 400  # the server refused to go on
    finally:
        connection.close()


def hostile_requests(seed: int) -> Iterator[tuple[str, str, bytes, dict[str, str]]]:
    rng = random.Random(seed)
    paths = [
        "/v1/conversation/x/turns/0.wav", "/v1/conversation/../../etc/passwd/turns/1.wav",
        "/v1/conversation/%2e%2e%2f/dialogue.zip", "/repartee/../../app/server.py", "/%00",
        "/repartee/%2e%2e/%2e%2e/page.py", "/v1/audio/speech", "//etc/passwd", "/..%5c..%5cx",
        "/v1/audio/voices/../../x", "/v1/audio/transcriptions", "/v1/audio/../../models",
        "/v1/conversation/x/turns/-1.wav", "/v1/" + "a" * 3000,
        "/v1/conversation/x/turns/99999999999999999999.wav", "/v1/conversation/%F0%9F/x.zip",
    ]  # fmt: skip
    bodies = [
        b"", b"{", b"null", b"[]", rng.randbytes(500), b'{"input": 5}', b'{"input": ""}',
        b'{"input": "hi", "voice": "../../x"}', b'{"input": "hi", "speed": 99}',
        b'{"input": "hi", "response_format": "exe"}', b'{"input": "a", "history": [{"x": 1}]}',
        b'{"input": "\xf0\x9f\x98\x80"}', b"[" * 10_000, b'{"input": "' + b"x" * 9000 + b'"}',
    ]  # fmt: skip
    while True:
        method = rng.choice(["GET", "POST", "PUT", "DELETE", "PATCH"])
        headers = {
            "Content-Type": rng.choice(["application/json", "text/plain", "multipart/form-data"])
        }
        if rng.random() < 0.1:
            headers["Content-Length"] = rng.choice(["99999999999", "-5", "x"])
        if rng.random() < 0.1:
            headers["Cookie"] = rng.choice(["repartee=1", "repartee", "=;=;", "repartee=\x7f" * 50])
        path = rng.choice(paths)
        body = rng.choice(bodies) if method != "GET" else b""
        if path == "/v1/audio/speech" and body == bodies[11]:
            continue  # a tone can speak an emoji; the real speaker's own tests refuse it
        yield method, path, body, headers


def test_hostile_requests_get_a_4xx() -> None:
    requests = hostile_requests(11)
    with serving(engines()) as (place, _), opened(place) as (good, _):
        for _ in range(NUM_REQUESTS):
            method, path, body, headers = next(requests)
            status = request(place, method, path, body, headers)
            assert 400 <= status < 500, (method, path, body[:60], headers, status)
        good.send(json.dumps({"type": "ping", "at": 1}))
        assert until(good, "pong")


def test_a_client_that_does_not_read_does_not_affect_others() -> None:
    with (
        serving(engines()) as (place, _),
        connect(f"ws://{place}/v1/conversation", close_timeout=0.5) as deaf,
        opened(place) as (good, _),
    ):
        deaf.send(json.dumps(START))
        flood = json.dumps({"type": "ping", "at": 1})
        stop = threading.Event()

        def shout() -> None:
            try:
                while not stop.is_set():
                    deaf.send(flood)
            except ConnectionClosed:
                pass

        thread = threading.Thread(target=shout, daemon=True)
        thread.start()
        good.send(json.dumps({"type": "text", "text": "my name is anna"}))
        assert "Anna" in until(good, "reply.text")[0]["text"]
        stop.set()
        thread.join(60)


def test_the_audio_header_matches_the_protocol() -> None:
    from app.active_reply import AudioChunk
    from app.protocol import write_audio_chunk

    content = write_audio_chunk(AudioChunk(3, 960, np.array([0.0, 1.0, -2.0], np.float32)))
    assert struct.unpack("<IIhhh", content) == (3, 960, 0, 32767, -32768)
