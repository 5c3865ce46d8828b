"""Replies end within a second of their client's disconnect, of any kind."""

import contextlib
import json
import logging
import random
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from app.api.admission import AdmissionSettings
from app.server import ServerSettings
from tests.app.fake_speaker import FakeReply, FakeSpeaker
from tests.app.live import engines, serving
from tests.models.test_cancelling import occupied
from tests.tiny import tiny_speaker

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
LONG = "The train was late and we waited near the old bridge. " * 70
SETTINGS = ServerSettings(page=False, admission=AdmissionSettings(places=40))
OURS = ("reply-", "production", "speech-worker")


class SlowSpeaker(FakeSpeaker):
    """A speaker with replies of minutes, which records them."""

    def __init__(self) -> None:
        super().__init__(rtf=0.5)
        self.replies: list[FakeReply] = []

    def speak(self, *args: Any, **kwargs: Any) -> FakeReply:
        self.replies.append(super().speak(*args, **kwargs))
        return self.replies[-1]


def living() -> list[str]:
    """Threads that serve requests."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(OURS)]


def all_gone(within_s: float = 1.0, but: int = 0) -> bool:
    deadline = time.monotonic() + within_s
    while len(living()) > but and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(living()) <= but


def request_of(**fields: Any) -> bytes:
    body = json.dumps({"input": LONG, "response_format": "pcm", **fields}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


def asked(place: str, **fields: Any) -> socket.socket:
    host, port = place.split(":")
    connection = socket.create_connection((host, int(port)), timeout=10)
    connection.sendall(request_of(**fields))
    return connection


def begun(connection: socket.socket) -> socket.socket:
    """Disconnects after part of the body."""
    got = b""
    while b"\r\n\r\n" not in got or len(got) < 600:
        piece = connection.recv(4096)
        assert piece, got
        got += piece
    assert got.startswith(b"HTTP/1.1 200"), got[:200]
    assert "production" in living()
    return connection


def close(place: str, **fields: Any) -> None:
    begun(asked(place, **fields)).close()


def close_before_the_first_byte(place: str, **fields: Any) -> None:
    connection = asked(place, **fields)
    time.sleep(0.01)
    connection.close()


def half_close(place: str, **fields: Any) -> None:
    connection = begun(asked(place, **fields))
    connection.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    connection.close()


def crash(connection: socket.socket) -> None:
    """Closes with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.shutdown(socket.SHUT_RD)  # wakes a client's thread, which would keep it open
    connection.close()


def reset(place: str, **fields: Any) -> None:
    crash(begun(asked(place, **fields)))


def stop_reading_then_go(place: str, **fields: Any) -> None:
    connection = asked(place, **fields)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    time.sleep(0.3)
    connection.close()


def close_an_http_client(place: str, **fields: Any) -> None:
    body = {"input": LONG, **fields}
    with (
        httpx.Client(timeout=10) as client,
        client.stream("POST", f"http://{place}/v1/audio/speech", json=body) as response,
    ):
        assert response.status_code == 200
        next(response.iter_raw())


WAYS = (close, close_before_the_first_byte, half_close, reset, stop_reading_then_go)


@pytest.fixture(scope="module")
def slow() -> Iterator[tuple[str, SlowSpeaker]]:
    speaker = SlowSpeaker()
    with serving(engines(speaker=speaker), SETTINGS) as (place, _):
        yield place, speaker


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    """The engine's own threads, with tiny models; slots are few, so that they wait for each
    other."""
    shared = engines(speaker=tiny_speaker("gpt-talker"))
    with serving(shared, SETTINGS) as (place, _):
        yield place


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fields", [{"response_format": "pcm"}, {"stream_format": "sse", "response_format": "wav"}]
)
def test_a_fake_reply_ends_with_its_listener(
    slow: tuple[str, SlowSpeaker], way: Callable[..., None], fields: dict[str, str]
) -> None:
    place, speaker = slow
    way(place, **fields)
    assert all_gone(), living()
    assert all(reply._cancelled for reply in speaker.replies)


@pytest.mark.parametrize("way", WAYS)
def test_a_real_reply_ends_with_its_listener(real: str, way: Callable[..., None]) -> None:
    way(real)
    assert all_gone(), living()


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
@pytest.mark.parametrize("kind", FORMATS)
def test_all_formats_end_with_their_listener(real: str, kind: str, stream_format: str) -> None:
    close_an_http_client(real, response_format=kind, stream_format=stream_format)
    assert all_gone(), living()


def test_curl_gives_up(slow: tuple[str, SlowSpeaker]) -> None:
    place, speaker = slow
    import shutil

    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = [
        "curl",
        "-s",
        "--max-time",
        "0.5",
        "-o",
        "/dev/null",
        f"http://{place}/v1/audio/speech",
    ]
    body = json.dumps({"input": LONG, "response_format": "mp3"})
    ended = subprocess.run([*command, "-H", "Content-Type: application/json", "-d", body])
    assert ended.returncode == 28  # its time was over
    assert all_gone(), living()
    assert speaker.replies[-1]._cancelled


def test_many_leave_at_random_moments(real: str) -> None:
    chance = random.Random(3)
    before = threading.active_count()

    def one(number: int) -> None:
        fields = {
            "response_format": FORMATS[number % len(FORMATS)],
            "stream_format": ("audio", "sse")[number % 2],
            "history": [{"speaker": "user", "text": "Where were you? " * 20}] * (number % 3),
        }
        connection = asked(real, **fields)
        time.sleep(delays[number])
        if number % 4 == 0:
            reset_now = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_now)
        connection.close()

    delays = [chance.random() for _ in range(24)]
    leaving = [threading.Thread(target=one, args=(number,)) for number in range(len(delays))]
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join(10)
    assert all_gone(2.0), living()  # the last of them left a moment ago, and the machine is full
    assert threading.active_count() <= before


def test_a_client_waiting_for_a_place_may_leave() -> None:
    """The place goes to the next client, and nothing is generated for the one that left."""
    speaker = SlowSpeaker()
    settings = ServerSettings(page=False, admission=AdmissionSettings(places=1, wait_s=20))
    with serving(engines(speaker=speaker), settings) as (place, _):
        first = begun(asked(place))
        waiting = asked(place)
        last = asked(place)
        time.sleep(0.2)
        assert len(speaker.replies) == 1
        waiting.close()
        time.sleep(0.2)
        first.close()
        begun(last).close()
        assert all_gone(), living()
        assert len(speaker.replies) == 2


def test_a_stalled_client_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.streaming.STALL_S", 0.3)
    speaker = FakeSpeaker()  # as fast as the socket takes it
    with serving(engines(speaker=speaker), SETTINGS) as (place, _):
        host, port = place.split(":")
        stalled = socket.socket()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect((host, int(port)))
        stalled.sendall(request_of())
        time.sleep(0.2)
        assert all_gone(10.0), living()  # while the socket is still open
        assert httpx.get(f"http://{place}/healthz").status_code == 200
        stalled.close()


def test_server_shutdown_ends_replies() -> None:
    shared = engines(speaker=tiny_speaker("gpt-talker"))
    with serving(shared, SETTINGS) as (place, _):
        connections = [asked(place) for _ in range(3)]
        begun(connections[0])
    assert all_gone(), living()
    for connection in connections:
        connection.close()


def talk(place: str, path: str, first: list[dict[str, Any]], sound: str, way: str) -> None:
    socket_ = connect(f"ws://{place}{path}", max_size=None)
    for message in first:
        socket_.send(json.dumps(message))
    for message in socket_:
        if isinstance(message, bytes) or sound in message:
            break
    if way == "close":
        socket_.close()
    else:
        raw = socket_.socket
        if way == "reset":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.shutdown(socket.SHUT_RDWR)
        raw.close()


STORY = {"type": "text", "text": "Tell me a story"}
ITEM = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a story"}]}
TALKS = {
    "/v1/conversation": (
        [{"type": "start", "protocol": 1, "sample_rate": 24_000}, STORY],
        "reply.text",
    ),
    "/v1/realtime": (
        [{"type": "conversation.item.create", "item": ITEM}, {"type": "response.create"}],
        "response.output_audio.delta",
    ),
}


@pytest.mark.parametrize("way", ["close", "reset", "shutdown"])
@pytest.mark.parametrize("path", TALKS)
def test_a_conversations_reply_ends_with_its_listener(real: str, path: str, way: str) -> None:
    talk(real, path, *TALKS[path], way)
    deadline = time.monotonic() + 5
    while any(name.startswith("reply-") for name in living()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(name.startswith("reply-") for name in living())
    if path == "/v1/realtime":  # one of the page waits for its listener to come back
        assert all_gone(but=3)


def realtime_turn(place: str) -> socket.socket:
    talking = connect(f"ws://{place}/v1/realtime", max_size=None)
    for message in TALKS["/v1/realtime"][0]:
        talking.send(json.dumps(message))
    return talking.socket


def turn_before_speech(place: str) -> socket.socket:
    return asked(place, history=[{"speaker": "user", "text": "Where were you? " * 100}])


@pytest.mark.parametrize("ask", [realtime_turn, turn_before_speech])
def test_a_queued_turn_is_dropped_with_its_client(
    ask: Callable[[str], socket.socket],
) -> None:
    """Otherwise turns of disconnected clients would be processed before others are answered."""
    speaker, before = tiny_speaker("gpt-talker"), len(living())
    shared = engines(speaker=speaker)
    with serving(shared, SETTINGS) as (place, _), occupied(speaker.engine):
        connection = ask(place)
        deadline = time.monotonic() + 5
        while not speaker.engine._calls and time.monotonic() < deadline:
            time.sleep(0.01)
        assert speaker.engine._calls
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
        assert all_gone(2.0, but=before), living()
        assert not speaker.engine._calls


def sent_in_part(path: str) -> bytes:
    kind = "application/json" if path.endswith("speech") else "multipart/form-data; boundary=x"
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        "Content-Length: 100000\r\n\r\n--x\r\nContent-Disposition: form-data; "
        'name="file"; filename="a.wav"\r\n\r\nabc'
    ).encode()


def test_nothing_is_written_to_clients_that_are_gone(caplog: pytest.LogCaptureFixture) -> None:
    """Asyncio logged each message: "socket.send() raised exception"."""
    speaker, before = FakeSpeaker(), len(living())  # faster than any client reads
    with serving(engines(speaker=speaker), SETTINGS) as (place, _):
        for _ in range(5):
            reset(place)
            connection = connect(f"ws://{place}/v1/audio/speech/stream")
            for message in ({"type": "start"}, {"type": "text", "text": LONG}, {"type": "end"}):
                connection.send(json.dumps(message))
            while isinstance(connection.recv(), str):
                pass
            crash(connection.socket)
            assert all_gone(5.0, but=before), living()
    assert not [one for one in caplog.records if one.name == "asyncio"]


@pytest.mark.parametrize(
    "path", ["/v1/audio/transcriptions", "/v1/audio/voices", "/v1/audio/speech"]
)
def test_a_disconnect_while_sending_is_not_logged_as_an_error(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each logged a traceback of some seventy lines."""
    with caplog.at_level(logging.INFO), serving(engines()) as (place, _):
        for _ in range(3):
            host, port = place.split(":")
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(sent_in_part(path))
                time.sleep(0.1)
        assert httpx.get(f"http://{place}/healthz").is_success
        time.sleep(0.5)
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert "Traceback" not in caplog.text
