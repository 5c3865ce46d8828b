"""Recognition by pocketsphinx and by a local endpoint."""

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from data.errors import RepError
from data.recognition.endpoint import EndpointRecognizer
from data.recognition.recognizer import transcribe
from data.recognition.sphinx import SphinxRecognizer, SphinxUtterance
from data.recognition.sphinx_worker import MAX_DECODERS, Decoders, FrameQueue
from tests.app.user_sound import silence, speechlike, spoken


@pytest.fixture(scope="module")
def sphinx() -> Iterator[SphinxRecognizer]:
    recognizer = SphinxRecognizer()
    yield recognizer
    recognizer.close()


def test_partial_words_come_during_speech(sphinx: SphinxRecognizer, tmp_path: Path) -> None:
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


def test_silence_has_no_text_and_an_abort_does_not_affect_others(sphinx: SphinxRecognizer) -> None:
    dropped = sphinx.open()
    dropped.push(speechlike(0.5))
    dropped.abort()
    utterance = sphinx.open()
    utterance.push(silence(0.5))
    assert utterance.finish().result(120) == ""


def abort_at_once(utterance: SphinxUtterance, sound: np.ndarray) -> None:
    utterance.push(sound)
    utterance.abort()


def abort_frame_by_frame(utterance: SphinxUtterance, sound: np.ndarray) -> None:
    for start in range(0, len(sound), 480):
        utterance.push(sound[start : start + 480])
    utterance.abort()


def abort_when_finished(utterance: SphinxUtterance, sound: np.ndarray) -> None:
    utterance.push(sound)
    utterance.finish()
    utterance.abort()


def abort_twice(utterance: SphinxUtterance, sound: np.ndarray) -> None:
    abort_at_once(utterance, sound)
    utterance.abort()
    utterance.finish()


def push_after_the_abort(utterance: SphinxUtterance, sound: np.ndarray) -> None:
    abort_at_once(utterance, sound)
    utterance.push(sound)


def abort_half_way(utterance: SphinxUtterance, sound: np.ndarray) -> None:
    utterance.push(sound[: len(sound) // 2])
    utterance.abort()
    utterance.push(sound[len(sound) // 2 :])


def abort_what_is_being_heard(utterance: SphinxUtterance, sound: np.ndarray) -> None:
    utterance.push(np.tile(sound, 12))
    time.sleep(0.05)
    utterance.abort()


@pytest.mark.parametrize(
    "interrupt",
    [
        abort_at_once,
        abort_frame_by_frame,
        abort_when_finished,
        abort_twice,
        push_after_the_abort,
        abort_half_way,
        abort_what_is_being_heard,
    ],
)
def test_aborted_utterances_are_not_recognised(
    sphinx: SphinxRecognizer, interrupt: Callable[[SphinxUtterance, np.ndarray], None]
) -> None:
    """Aborted utterances were decoded to their end and held a decoder of 90 MB until then: in
    fifteen minutes of interruptions the process grew from 104 to 816 MB."""
    process = sphinx._workers[0]._process.pid
    assert transcribe(sphinx, silence(0.5)) == ""
    before = resident_mb(process), processor_s(process)
    for _ in range(40):
        interrupt(sphinx.open(), speechlike(1.5))
    assert transcribe(sphinx, silence(0.5)) == ""
    assert resident_mb(process) - before[0] < 120  # one more decoder at most
    assert processor_s(process) - before[1] < 4  # a minute of speech would take 8 s


def test_utterances_beyond_the_number_of_decoders_wait(sphinx: SphinxRecognizer) -> None:
    utterances = [sphinx.open() for _ in range(3 * MAX_DECODERS)]
    for utterance in utterances:
        utterance.push(speechlike(0.5))
    texts = [utterance.finish().result(120) for utterance in utterances]
    assert len(texts) == 3 * MAX_DECODERS
    assert resident_mb(sphinx._workers[0]._process.pid) < 100 * (MAX_DECODERS + 1)


def test_an_aborted_utterance_frees_its_decoder() -> None:
    decoders = Decoders()
    queue = FrameQueue(decoders)
    for number in range(MAX_DECODERS + 1):
        queue.put((b"b", number, b""))
    queue.work()
    assert queue.ready() == []  # the last one waits
    queue.put((b"s", MAX_DECODERS, bytes(640)))
    queue.put((b"a", 0, b""))
    assert queue.ready() == [MAX_DECODERS]
    queue.put((b"s", 0, bytes(640)))  # was on its way
    queue.put((b"f", 0, b""))
    while queue.ready():
        assert queue.work() == []


@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_audio_beyond_the_backlog_is_an_error(
    monkeypatch: pytest.MonkeyPatch, sphinx: SphinxRecognizer, seconds: float
) -> None:
    """It was once dropped silently."""
    monkeypatch.setattr("data.recognition.sphinx._MAX_BACKLOG", 4_000)  # less than it takes at once
    utterance = sphinx.open()
    utterance.push(speechlike(seconds))
    with pytest.raises(RepError, match="fallen half an hour behind"):
        utterance.finish().result(120)
    monkeypatch.undo()
    assert transcribe(sphinx, silence(0.2)) == ""


def test_a_process_that_cannot_start_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    recognizer = SphinxRecognizer()
    recognizer._workers[0]._process.kill()
    with pytest.raises(RepError, match="process has ended"):
        recognizer.open().finish().result(120)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as change:
        change.setattr("subprocess.Popen", full)
        with pytest.raises(RepError, match="Too many open files"):
            recognizer.open()
    assert transcribe(recognizer, silence(0.2)) == ""  # as soon as it can
    recognizer.close()


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_dead_process_is_an_error_at_once() -> None:
    recognizer = SphinxRecognizer()
    utterance = recognizer.open()
    recognizer._workers[0]._process.terminate()
    utterance.push(speechlike(0.5))
    with pytest.raises(RepError, match="process has ended"):
        utterance.finish().result(120)
    recognizer.close()


def test_a_dead_process_is_replaced() -> None:
    """Having no open utterance, it got every later one, and none was recognised."""
    recognizer = SphinxRecognizer()
    dead = recognizer._workers[0]
    assert dead.ready.wait(60)
    lost = recognizer.open()
    dead._process.kill()
    with pytest.raises(RepError, match="process has ended"):
        lost.finish().result(120)
    lost.abort()
    assert not dead._outgoing
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


def test_an_endpoint_transcribes_a_wav(endpoint: tuple[type[_Endpoint], str]) -> None:
    handler, url = endpoint
    recognizer = EndpointRecognizer(url, "tiny")
    utterance = recognizer.open()
    utterance.push(np.zeros(24_000, np.float32))
    assert utterance.finish().result(60) == "Hello there."
    assert b"RIFF" in handler.seen
    assert b"tiny" in handler.seen
    recognizer.close()


def test_a_failing_endpoint_is_reported_with_advice(endpoint: tuple[type[_Endpoint], str]) -> None:
    handler, url = endpoint
    handler.status = 500
    recognizer = EndpointRecognizer(url, "tiny")
    with pytest.raises(RepError, match="--asr-base-url"):
        recognizer.open().finish().result(60)
    recognizer.close()
