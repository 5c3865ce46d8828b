"""Ends of connections: whichever side fails, the session and its reply end."""

import contextlib
import json
import math
import socket as socketlib
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from app.hub import Engines
from app.protocol import read_object, write_object
from app.server import SOCKET_OPTIONS
from app.session import Session
from app.websocket import ListenerSocket
from tests.app.fake_speaker import FakeSpeaker
from tests.app.live import engines, serving

START = {"type": "start", "protocol": 1, "sample_rate": 24_000}
PATHS = ["/v1/conversation", "/v1/realtime"]


class Endless:
    """A responder whose answer outlives every test."""

    name = "built-in"

    def reply(self, history: Any) -> Iterator[str]:
        for number in range(100_000):
            yield f"and then number {number} came."
            time.sleep(0.001)


def ask(path: str) -> list[dict[str, Any]]:
    """Messages that ask for an answer."""
    if path == "/v1/conversation":
        return [START, {"type": "text", "text": "go on"}]
    content = [{"type": "input_text", "text": "go on"}]
    item = {"type": "message", "role": "user", "content": content}
    return [{"type": "conversation.item.create", "item": item}, {"type": "response.create"}]


def talkative() -> Engines:
    return engines(responders={"built-in": Endless()}, speaker=FakeSpeaker(rtf=0.01))


@contextlib.contextmanager
def speaking(path: str) -> Iterator[tuple[ClientConnection, Any]]:
    """A client that is receiving an endless answer."""
    with serving(talkative()) as (place, app):
        socket = connect(f"ws://{place}{path}", close_timeout=0.5)
        for message in ask(path):
            socket.send(json.dumps(message))
        wait_for(lambda: app.state.hub.metrics.in_the_making())
        try:
            yield socket, app
        finally:
            with contextlib.suppress(OSError):
                socket.socket.close()


def wait_for(condition: Any, most_s: float = 10.0) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < most_s
        time.sleep(0.01)
    return time.monotonic() - began


def over(app: Any) -> bool:
    hub = app.state.hub
    return hub.num_live == 0 and hub.metrics.in_the_making() == 0


def leave_politely(socket: ClientConnection) -> None:
    socket.close()


def leave_with_a_reset(socket: ClientConnection) -> None:
    linger = struct.pack("ii", 1, 0)
    socket.socket.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_LINGER, linger)
    socket.socket.shutdown(socketlib.SHUT_RD)
    socket.socket.close()


def leave_without_a_word(socket: ClientConnection) -> None:
    socket.socket.shutdown(socketlib.SHUT_RDWR)


def leave_in_the_middle_of_a_frame(socket: ClientConnection) -> None:
    socket.socket.sendall(bytes([0x81, 0xFE, 0x10, 0x00, 1, 2, 3, 4]) + b"half a frame")
    socket.socket.shutdown(socketlib.SHUT_RDWR)


def leave_with_an_invalid_frame(socket: ClientConnection) -> None:
    socket.socket.sendall(b"\xff\xff\xff\xff")


def leave_with_broken_utf8(socket: ClientConnection) -> None:
    socket.socket.sendall(bytes([0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28]))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "leave",
    [
        leave_politely,
        leave_with_a_reset,
        leave_without_a_word,
        leave_in_the_middle_of_a_frame,
        leave_with_an_invalid_frame,
        leave_with_broken_utf8,
    ],
)
def test_a_reply_ends_soon_after_a_disconnect(path: str, leave: Any) -> None:
    with speaking(path) as (socket, app):
        leave(socket)
        assert wait_for(lambda: over(app)) < 3.0


class Unencodable(Exception):
    pass


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("error", [Unencodable, RuntimeError, ValueError, KeyError, UnicodeError])
def test_a_dead_writer_ends_its_connection(
    path: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent any more, while the session kept generating."""

    def fail(*_: object) -> None:
        raise error("cannot be written")

    with speaking(path) as (socket, app):
        monkeypatch.setattr("app.api.channel.write_object", fail)
        assert wait_for(lambda: over(app)) < 3.0
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                socket.recv(10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("error", [OSError, ValueError, RuntimeError, ZeroDivisionError, KeyError])
def test_a_session_that_fails_in_its_timer_is_reported_and_ended(
    path: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The timer ended silently: the session stalled while its client waited."""

    def fail(*_: object) -> None:
        raise error("the clock stopped")

    with speaking(path) as (socket, app):
        monkeypatch.setattr(Session, "tick", fail)
        events = []
        with pytest.raises(ConnectionClosed):
            while True:
                message = socket.recv(10)
                if isinstance(message, str):
                    events.append(json.loads(message))
        assert events[-1]["type"] == "error"
        assert events[-1].get("error", events[-1])["code"] == "internal"
        assert over(app)


def deaf(place: str, path: str) -> socketlib.socket:
    """A client that requests an endless answer and never reads."""
    host, _, port = place.partition(":")
    plain = socketlib.socket()
    plain.setsockopt(socketlib.SOL_SOCKET, socketlib.SO_RCVBUF, 4096)
    plain.connect((host, int(port)))
    plain.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {place}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    assert b" 101 " in plain.recv(1024)
    for message in ask(path):
        content = json.dumps(message).encode()
        plain.sendall(struct.pack("!BBH4x", 0x81, 0xFE, len(content)) + content)
    return plain


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("pings", [True, False])
def test_a_client_that_does_not_read_is_disconnected(
    path: str, pings: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its unsent data kept the connection open forever."""
    monkeypatch.setattr("app.websocket.LINGER_S", 0.5)
    monkeypatch.setattr("app.api.channel._GOODBYE_S", 0.2)
    monkeypatch.setattr(
        "app.active_reply._LEAD_S", 1e6
    )  # so that the kernel's buffers are soon full
    if not pings:  # where something else answers the pings
        monkeypatch.setattr("app.api.channel._MAX_SENDING_S", 1.0)
        monkeypatch.setitem(SOCKET_OPTIONS, "ws_ping_interval", None)
    lost: list[ListenerSocket] = []
    monkeypatch.setattr(
        ListenerSocket,
        "connection_lost",
        lambda self, error: (lost.append(self), super(ListenerSocket, self).connection_lost(error)),
    )
    with serving(talkative()) as (place, app), contextlib.closing(deaf(place, path)):
        wait_for(lambda: app.state.hub.metrics.in_the_making())
        wait_for(lambda: over(app), 20.0)
        wait_for(lambda: lost, 20.0)


@pytest.mark.parametrize(
    "number", [math.nan, math.inf, -math.inf, {"a": [math.nan]}, [[math.inf, 1.0]]]
)
def test_all_messages_are_valid_json(number: Any) -> None:
    sent = write_object({"type": "x", "text": "\ud83d", "value": number})
    assert sent.isascii()
    assert "NaN" not in sent and "Infinity" not in sent
    assert json.loads(sent)["type"] == "x"


@pytest.mark.parametrize("digits", [19, 100, 4000, 100_000])
def test_huge_integers_are_out_of_range_everywhere(digits: int) -> None:
    found = read_object('{"reply": ' + "9" * digits + "}")["reply"]
    assert isinstance(found, float)


def test_every_text_of_a_message_is_valid_unicode() -> None:
    found = read_object(r'{"\ud83d": ["\udc00", {"a": "Hi \ud83d there \ud83d\ude00"}]}')
    assert found == {"": ["", {"a": "Hi  there 😀"}]}


def test_a_realtime_client_may_be_busy_for_a_while() -> None:
    """One that answers no ping for 5 s was disconnected, as a page is; SDKs block for 20 s."""
    with serving(engines()) as (place, _), connect(f"ws://{place}/v1/realtime") as connection:
        with connection.protocol_mutex:  # its thread reads nothing
            time.sleep(6)
        connection.send(json.dumps({"type": "session.update", "session": {}}))
        kinds = [json.loads(connection.recv(10))["type"] for _ in range(2)]
    assert kinds == ["session.created", "session.updated"]
