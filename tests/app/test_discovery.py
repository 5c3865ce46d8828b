"""Discovery of local language models within half a second, ignoring other servers."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.api.choosing import changed, public_settings
from app.chat_endpoint import ChatEndpoint
from app.discovery import find_language_models
from app.protocol import ProtocolError
from app.replies import (
    INSTRUCTIONS,
    MAX_PROMPT,
    Briefing,
    ChatMessage,
    ContextOptions,
    estimated_tokens,
    messages_of,
)
from app.scripted import INTRODUCTION, ScriptedResponder
from app.settings import SessionSettings
from tests.app.live import engines


@contextlib.contextmanager
def answering(body: bytes, status: int = 200, delay_s: float = 0.0) -> Iterator[int]:
    """Yields the port of a server that answers everything with this."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(delay_s)
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def models(*names: str, **more: str) -> bytes:
    return json.dumps({"object": "list", "data": [{"id": n, **more} for n in names]}).encode()


def test_models_are_found_by_server_and_name() -> None:
    with answering(models("llama3.2", "nomic-embed-text", "qwen3")) as port:
        found = find_language_models({port: "Ollama", 9: "vLLM"})
    assert [(one.name, one.server) for one in found] == [
        ("llama3.2", "Ollama"),
        ("qwen3", "Ollama"),
    ]
    assert found[0].base_url == f"http://127.0.0.1:{port}/v1"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b'{"data": 3}', b'{"data": [3, {"id": 7}, {"id": ""}]}',
        b"[" * 100_000, b'{"data": [' + b" " * 400_000, models("gpt-talker", owned_by="repartee"),
        models("a\nb", "x" * 300),
    ],
)  # fmt: skip
def test_other_servers_are_not_taken_for_language_models(body: bytes) -> None:
    with answering(body) as port:
        assert find_language_models({port: "Ollama"}) == []


def test_error_responses_are_not_models() -> None:
    with answering(models("llama3.2"), status=401) as port:
        assert find_language_models({port: "Ollama"}) == []


def test_a_hanging_server_does_not_delay_discovery() -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    with answering(models("llama3.2")) as good, answering(models("slow"), delay_s=3.0) as slow:
        begun = time.monotonic()
        ports = {silent.getsockname()[1]: "llama.cpp", slow: "vLLM", good: "Ollama"}
        found = find_language_models(ports)
        assert time.monotonic() - begun < 2.0
    assert [one.name for one in found] == ["llama3.2"]
    silent.close()


def test_the_script_introduces_itself_once() -> None:
    script = ScriptedResponder(introduces=True)
    first = [ChatMessage(0, "hello")]
    assert next(iter(script.reply(first))) == INTRODUCTION
    assert INTRODUCTION not in list(
        script.reply([*first, ChatMessage(1, INTRODUCTION), ChatMessage(0, "hi")])
    )
    assert INTRODUCTION not in list(ScriptedResponder().reply(first))


def test_a_system_prompt_is_stored_shown_and_sent() -> None:
    one = engines(responders={"small": ChatEndpoint("http://127.0.0.1:9/v1", "small")})
    start = SessionSettings()
    assert public_settings(start)["system_prompt"] == INSTRUCTIONS
    pirate = changed(one, start, {"system_prompt": "  You are a pirate. "})
    assert public_settings(pirate)["system_prompt"] == "You are a pirate."
    assert messages_of([ChatMessage(0, "hi")], pirate.briefing)[0]["content"] == "You are a pirate."
    back = changed(one, pirate, {"system_prompt": ""})
    assert public_settings(back)["system_prompt"] == INSTRUCTIONS
    with pytest.raises(ProtocolError, match="at most"):
        changed(one, start, {"system_prompt": "x" * (MAX_PROMPT + 1)})


@pytest.mark.parametrize("tokens", [256, 600, 1000, 4096])
@pytest.mark.parametrize("text", ["A sentence of some length, in English. ", "这是一句中文。"])
def test_the_oldest_turns_are_dropped_first(tokens: int, text: str) -> None:
    history = [ChatMessage(number % 2, f"{number} {text * 3}") for number in range(61)]
    messages = messages_of(history, Briefing(), ContextOptions(tokens))
    kept = [message["content"] for message in messages[1:]]
    assert kept == [said.text for said in history[-len(kept) :]]
    assert sum(estimated_tokens(m["content"]) for m in messages) <= tokens
    assert len(kept) < 61 or tokens == 4096
