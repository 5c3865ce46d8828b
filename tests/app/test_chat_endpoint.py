"""Misbehaving language models: a clear error in time, and no leaks."""

import contextlib
import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.answering import Answer
from app.chat_endpoint import ChatEndpoint, ChatLimits
from app.replies import Briefing, ChatMessage
from app.settings import SessionSettings
from app.speech_worker import SpeechWorker
from data.errors import RepError
from data.limits import MAX_SPOKEN
from tests.app.fake_speaker import FakeSpeaker
from tests.app.language_model import event, language_model

LIMITS = ChatLimits(connect_s=2.0, first_word_s=0.6, next_word_s=0.6, total_s=2.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
Behaviour = Callable[[socket.socket], None]


class Endpoint:
    """A TCP server on this machine that behaves as it is told, once it has read a request.

    Attributes:
        requests: bodies, as far as they were read.
        left: set when a client has closed its connection.
    """

    def __init__(self, behave: Behaviour) -> None:
        self.requests: list[dict] = []
        self.left = threading.Event()
        self._behave = behave
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            received = b""
            while b"\r\n\r\n" not in received:
                received += client.recv(1 << 16)
            head, _, body = received.partition(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += client.recv(1 << 16)
            self.requests.append(json.loads(body))
            try:
                self._behave(client)
                if client.fileno() >= 0:
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(1024):
                        pass
            finally:
                self.left.set()

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def endpoint(
    behave: Behaviour, limits: ChatLimits = LIMITS
) -> Iterator[tuple[Endpoint, ChatEndpoint]]:
    server = Endpoint(behave)
    chat = ChatEndpoint(server.url, "small", key="sk-secret-key", limits=limits)
    try:
        yield server, chat
    finally:
        chat.close()
        server.close()


def sends(*pieces: bytes) -> Behaviour:
    def behave(client: socket.socket) -> None:
        for piece in pieces:
            client.sendall(piece)

    return behave


def for_ever(piece: bytes, before: bytes = OK, every_s: float = 0.01) -> Behaviour:
    def behave(client: socket.socket) -> None:
        client.sendall(before)
        while True:
            client.sendall(piece)
            time.sleep(every_s)

    return behave


def delta(**fields: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": fields}]}).encode() + b"\n\n"


def resets(client: socket.socket) -> None:
    client.sendall(OK + event("Hello"))
    time.sleep(0.1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def waits(client: socket.socket) -> None:
    while client.recv(1024):
        pass


def status(line: str, body: bytes = b"", headers: str = "") -> bytes:
    return f"HTTP/1.1 {line}\r\n{headers}\r\n".encode() + body


TOOL = {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{"}}]}
MISBEHAVING: dict[str, tuple[Behaviour, str]] = {
    "no answer": (waits, "sent no text for too long"),
    "headers for ever": (for_ever(b"X-A: b\r\n", b"HTTP/1.1 200 OK\r\n"), "language model"),
    "keepalives": (for_ever(b": keepalive\n\n"), "sent no text for too long"),
    "blank lines": (for_ever(b"\n"), "sent no text for too long"),
    "retries": (for_ever(b"retry: 10\n\n"), "sent no text for too long"),
    "empty words": (for_ever(event("")), "sent no text for too long"),
    "roles": (for_ever(delta(role="assistant")), "sent no text for too long"),
    "thoughts beside": (for_ever(delta(reasoning_content="Hm. ")), "sent no text for too long"),
    "thoughts within": (
        for_ever(event("and so "), OK + event("<think>")),
        "sent no text for too long",
    ),
    "tool calls": (for_ever(delta(**TOOL)), "sent no text for too long"),
    "a tool call": (sends(OK, delta(**TOOL), b"data: [DONE]\n\n"), "an empty answer"),
    "half a line": (for_ever(b"data: {", OK, 0.1), "sent no text for too long"),
    "an endless line": (for_ever(b"x" * 4096, OK, 0.0), "a line that is too long"),
    "an endless word": (
        for_ever(b"x" * 4096, OK + b'data: {"choices": [{"delta": {"content": "', 0.0),
        "a line that is too long",
    ),
    "one byte at a time": (for_ever(b"x", OK + b"data: ", 0.0), "language model"),
    "a stall after a word": (
        lambda client: (client.sendall(OK + event("Hello ")), waits(client)),  # type: ignore[misc]
        "sent no text for too long",
    ),
    "words for ever": (for_ever(event("and "), OK, 0.05), "took more than 2 s"),
    "an endless error": (
        for_ever(b"broken " * 500, status("500 Internal Server Error"), 0.0),
        "answered 500 .broken",
    ),
    "a slow error": (for_ever(b"b", status("500 Oh"), 0.05), "answered 500"),
    "an error without a body": (sends(status("503 Busy")), "answered 503.*try again later"),
    "too many requests": (
        sends(status("429 Too Many Requests", b'{"error": "slow down"}')),
        "answered 429.*slow down.*try again later",
    ),
    "the key in an error": (
        sends(status("401 No", b"Incorrect API key: sk-secret-key\x1b[31m\n")),
        r"answered 401 .Incorrect API key: \*\*\*.*the key",
    ),
    "elsewhere": (
        sends(status("302 Found", headers="Location: https://x.example/v1\r\n")),
        "redirects .302, 'https://x.example/v1'.*--llm-base-url",
    ),
    "elsewhere for ever": (
        sends(status("308 Gone", headers="Location: /v1/chat/completions\r\n")),
        "redirects",
    ),
    "no content": (sends(status("204 No Content")), "answered 204"),
    "a web page": (
        sends(status("200 OK", b"<!DOCTYPE html><html>", "Content-Type: text/html\r\n")),
        "not a chat completion.*DOCTYPE",
    ),
    "not a stream": (
        sends(status("200 OK", b'{"choices": [{"message": {"content": "Hello"}}]}')),
        "not a chat completion",
    ),
    "binary": (sends(status("200 OK", bytes(range(256)))), "not a chat completion"),
    "not HTTP": (sends(b"\x00\x01\x02\r\n\r\n"), "unreachable"),
    "nothing": (sends(), "unreachable"),
    "a reset": (resets, "unreachable"),
    "a broken chunk": (
        sends(status("200 OK", b"zz\r\n", "Transfer-Encoding: chunked\r\n")),
        "unreachable",
    ),
    "a body that is too short": (
        sends(status("200 OK", event("Hi"), "Content-Length: 9999\r\n")),
        "unreachable",
    ),
    "a swelling body": (
        sends(status("200 OK", gzip.compress(bytes(1 << 24)), "Content-Encoding: gzip\r\n")),
        "unrequested encoding, .gzip.",
    ),
    "an error in the stream": (
        sends(OK, b'data: {"error": {"message": "out of memory"}}\n\n'),
        "failed: out of memory",
    ),
    "deep JSON": (sends(OK, b"data: " + b"[" * 60_000 + b"\n\n"), "not a chat completion"),
    "many digits": (
        sends(OK, b'data: {"created": ' + b"9" * 5000 + b"}\n\n"),
        "not a chat completion",
    ),
    "wrong types": (sends(OK, b'data: {"choices": {"a": 1}}\n\n'), "not a chat completion"),
    "a list": (sends(OK, b"data: []\n\n"), "not a chat completion"),
    "nothing but the end": (sends(OK, b"data: [DONE]\n\n"), "an empty answer"),
}


@pytest.mark.parametrize("name", MISBEHAVING)
def test_a_language_model_that_misbehaves_is_an_error_in_time(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.chat_endpoint._ERROR_BODY_S", 0.5)
    behave, message = MISBEHAVING[name]
    with endpoint(behave) as (server, chat):
        began = time.monotonic()
        with pytest.raises(RepError, match=f"(?s){message}") as refused:
            list(chat.reply([ChatMessage(0, "hi")]))
        assert time.monotonic() - began < 10
        assert len(str(refused.value)) < 600
        assert str(refused.value).isprintable()
        assert "sk-secret-key" not in str(refused.value)
        assert server.left.wait(10)
    assert wait_for(lambda: "chat-watch" not in [one.name for one in threading.enumerate()])


def wait_for(condition: Callable[[], bool], most_s: float = 10.0) -> bool:
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > most_s:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"data: [DONE]\n\n"], ""),
        ([b'data: {"choices": []}\n\n', b'data: {"usage": {}}\n\n', b"data: [DONE]\n\n"], ""),
        ([delta(reasoning_content="He greets."), b"data: [DONE]\n\n"], ""),
        ([delta(reasoning="He greets.", content=None), b"data: [DONE]\n\n"], ""),
        ([delta(content=[{"type": "thinking", "thinking": "Hm."}])], ""),
        ([delta(content=[{"type": "text", "text": " Bye."}])], " Bye."),
        ([event("<thi"), event("nk>He greets.</th"), event("ink>"), b"data: [DONE]\n\n"], ""),
        ([event(" Bye \ud83d"), event("now.")], " Bye now."),
        ([b": comment\r\n", b"event: x\r\n", event(" Bye.").replace(b"\n", b"\r\n")], " Bye."),
        ([event(" Bye.").rstrip()], " Bye."),  # no blank line at the end
    ],
)
def test_events_without_text_are_skipped(pieces: list[bytes], expected: str) -> None:
    with endpoint(sends(OK, event("Hello."), *pieces)) as (_, chat):
        assert "".join(chat.reply([ChatMessage(0, "hi")])) == "Hello." + expected


def test_an_abort_from_another_thread_ends_answer_and_connection() -> None:
    limits = ChatLimits(first_word_s=60)
    for behave in (waits, for_ever(b": keepalive\n\n"), for_ever(event("and "), OK, 0.2)):
        with endpoint(behave, limits) as (server, chat):
            stream = chat.reply([ChatMessage(0, "hi")])
            threading.Timer(0.3, stream.abort).start()
            began = time.monotonic()
            with pytest.raises(RepError, match="cancelled"):
                list(stream)
            assert time.monotonic() - began < 5
            assert server.left.wait(5)


def test_a_briefing_reaches_the_model_and_only_its_own_answer() -> None:
    with endpoint(sends(OK, event("Hello."))) as (server, chat):
        briefed = chat.briefed(Briefing("Speak as a pirate.", 0.3, 50))
        assert list(briefed.reply([ChatMessage(0, "hi")])) == ["Hello."]
        assert list(chat.reply([ChatMessage(0, "hi")])) == ["Hello."]
        first, second = server.requests
    assert first["messages"][0]["content"].endswith("Speak as a pirate.")
    assert (first["temperature"], first["max_tokens"]) == (0.3, 50)
    assert "pirate" not in second["messages"][0]["content"]
    assert "temperature" not in second and "max_tokens" not in second


class SpeechEvent:
    """The answers of a speech worker, one after the other."""

    def __init__(self, chat: ChatEndpoint) -> None:
        self.speech_worker = SpeechWorker(FakeSpeaker(), lambda: None, time.monotonic, "gpt-talker")
        self._chat = chat

    def begin(self) -> Answer:
        voice = next(iter(FakeSpeaker().voices.values()))
        options = SessionSettings().speak_options()
        return self.speech_worker.answer(1, self._chat, [ChatMessage(0, "hi")], voice, options)


@pytest.mark.parametrize(
    "piece", ["word ", "x", "one two three four five. ", "é" * 90 + " ", "Hello there.\n"]
)
def test_an_endless_answer_is_cut_at_a_word(piece: str) -> None:
    """It was spoken for as long as it came."""
    with endpoint(for_ever(event(piece), OK, 0.0), ChatLimits()) as (server, chat):
        heard = SpeechEvent(chat)
        answer = heard.begin()
        assert wait_for(lambda: answer.shortened, 30)
        assert server.left.wait(10)
        assert MAX_SPOKEN - len(piece) - 1 <= len(answer.text) <= MAX_SPOKEN
        assert not answer.error
        answer.cancel()
        heard.speech_worker.close()


@pytest.mark.parametrize(
    "behave", [waits, for_ever(b": keepalive\n\n"), for_ever(event("and "), OK, 0.1)]
)
def test_a_cancelled_answer_leaves_the_language_model_at_once(behave: Behaviour) -> None:
    with endpoint(behave, ChatLimits()) as (server, chat):
        heard = SpeechEvent(chat)
        answer = heard.begin()
        time.sleep(0.4)
        answer.cancel()
        assert server.left.wait(5)
        assert wait_for(lambda: answer.done, 5.0)
        assert not answer.error
        heard.speech_worker.close()


def test_a_thought_opened_in_the_prompt_is_not_passed_on_twice() -> None:
    with language_model() as (handler, url):
        handler.pieces = [event("He greets. "), event("So do I.\n</think>\n\n"), event("Hello.")]
        endpoint = ChatEndpoint(url, "small")
        heard = [ChatMessage(0, "Hi.")]
        "".join(endpoint.reply(heard))
        assert "".join(endpoint.briefed(Briefing()).reply(heard)) == "Hello."
        endpoint.close()
