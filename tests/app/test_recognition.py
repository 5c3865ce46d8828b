"""Recognition: pocketsphinx for real, an endpoint on this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from app.recognition import EndpointRecognizer
from app.sphinx import SphinxRecognizer
from data.errors import RepError
from tests.app.user_sound import silence, speechlike, spoken


@pytest.fixture(scope="module")
def sphinx() -> Iterator[SphinxRecognizer]:
    recognizer = SphinxRecognizer()
    yield recognizer
    recognizer.close()


def test_words_come_while_they_are_spoken(sphinx: SphinxRecognizer, tmp_path: Path) -> None:
    sound = spoken("What do you think about the weather?", tmp_path)
    utterance = sphinx.open()
    for start in range(0, len(sound), 960):
        utterance.push(sound[start : start + 960])
    assert utterance.finish().result(120) == "what do you think about the weather"
    assert utterance.partial == "what do you think about the weather"


def test_two_at_once_do_not_mix(sphinx: SphinxRecognizer, tmp_path: Path) -> None:
    sounds = [
        spoken("I had a really good day at work today.", tmp_path),
        spoken("Hello, my name is John.", tmp_path),
    ]
    open_now = [sphinx.open(), sphinx.open()]
    for start in range(0, max(map(len, sounds)), 960):
        for utterance, sound in zip(open_now, sounds, strict=True):
            utterance.push(sound[start : start + 960])
    texts = [utterance.finish().result(120) for utterance in open_now]
    assert texts == ["i had a really good day at work today", "hello my name is john"]


def test_silence_is_no_text_and_an_abort_harms_nobody(sphinx: SphinxRecognizer) -> None:
    dropped = sphinx.open()
    dropped.push(speechlike(0.5))
    dropped.abort()
    utterance = sphinx.open()
    utterance.push(silence(0.5))
    assert utterance.finish().result(120) == ""


def test_a_dead_process_is_an_error_not_a_wait() -> None:
    recognizer = SphinxRecognizer()
    utterance = recognizer.open()
    recognizer._workers[0]._process.terminate()
    utterance.push(speechlike(0.5))
    with pytest.raises(RepError, match="process has ended"):
        utterance.finish().result(120)
    recognizer.close()


def test_after_a_process_has_died_another_one_listens() -> None:
    """It had no open utterance, so every later one was given to it, and none was heard."""
    recognizer = SphinxRecognizer()
    dead = recognizer._workers[0]
    assert dead.ready.wait(60)
    lost = recognizer.open()
    dead._process.kill()
    with pytest.raises(RepError, match="process has ended"):
        lost.finish().result(120)
    lost.abort()
    assert dead._outgoing == []
    utterance = recognizer.open()
    utterance.push(silence(0.5))
    assert utterance.finish().result(120) == ""
    recognizer.close()
    with pytest.raises(RepError, match="process has ended"):
        recognizer.open().finish().result(120)  # none is begun for a server that ends


class _Endpoint(BaseHTTPRequestHandler):
    status, body = 200, {"text": " Hello there. "}
    seen = b""

    def do_POST(self) -> None:
        type(self).seen = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(json.dumps(self.body).encode())

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def endpoint() -> Iterator[tuple[type[_Endpoint], str]]:
    handler = type("Handler", (_Endpoint,), {})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_an_endpoint_gets_a_wav_and_gives_its_text(endpoint: tuple[type[_Endpoint], str]) -> None:
    handler, url = endpoint
    recognizer = EndpointRecognizer(url, "tiny")
    utterance = recognizer.open()
    utterance.push(np.zeros(24_000, np.float32))
    assert utterance.finish().result(60) == "Hello there."
    assert b"RIFF" in handler.seen
    assert b"tiny" in handler.seen
    recognizer.close()


def test_a_failing_endpoint_says_what_to_do(endpoint: tuple[type[_Endpoint], str]) -> None:
    handler, url = endpoint
    handler.status = 500
    recognizer = EndpointRecognizer(url, "tiny")
    with pytest.raises(RepError, match="--asr-base-url"):
        recognizer.open().finish().result(60)
    recognizer.close()
