"""`WS /v1/audio/speech/stream`, and the named endpoints for `gradio_client`."""

import contextlib
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from app.server import ServerSettings
from data.audio import mark_of, read_audio
from tests.app.fake_speaker import FakeSpeaker
from tests.app.live import engines, serving

SPEAKER = FakeSpeaker()


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    with serving(engines(speaker=SPEAKER), ServerSettings(page=True)) as (place, _):
        yield place


def opened(place: str, **start: Any) -> ClientConnection:
    socket = connect(f"ws://{place}/v1/audio/speech/stream", open_timeout=60)
    socket.send(json.dumps({"type": "start", "response_format": "pcm", **start}))
    return socket


def rest(socket: ClientConnection) -> tuple[bytes, list[dict[str, Any]]]:
    sound, events = b"", []
    for message in socket:
        if isinstance(message, bytes):
            sound += message
        else:
            events.append(json.loads(message))
    return sound, events


def write(socket: ClientConnection, *pieces: str) -> None:
    for piece in pieces:
        socket.send(json.dumps({"type": "text", "text": piece}))


@pytest.mark.parametrize("kind", ["pcm", "wav", "mp3"])
def test_text_streams_in_while_audio_streams_out(place: str, kind: str) -> None:
    with opened(place, voice="kal", instructions="calm", response_format=kind) as socket:
        started = json.loads(socket.recv(timeout=60))
        assert started["type"] == "speech.started"
        assert started["understood"].startswith("manner=calm")
        write(socket, "one ", "two ")
        first = socket.recv(timeout=60)  # before the rest is written
        assert isinstance(first, bytes) and first
        write(socket, "three")
        socket.send('{"type": "end"}')
        sound, events = rest(socket)
    assert events[-1]["type"] == "speech.audio.done" and events[-1]["seconds"] == 0.6
    words = [word["word"] for event in events[:-1] for word in event["words"]]
    assert words == ["one", "two", "three"]
    if kind == "pcm":
        samples = np.frombuffer(first + sound, "<i2")
        assert len(samples) == 3 * 4800
        assert round(np.argmax(np.abs(np.fft.rfft(samples))) * 24_000 / len(samples)) == 220


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([{"type": "text", "text": "no start"}], "start"),
        (["not JSON"], "start"),
        ([{"type": "start", "voice": "nobody"}], "nobody"),
        ([{"type": "start", "speed": 9}], "speed"),
        ([{"type": "start"}, {"type": "text", "text": 5}], "text must be a string"),
        ([{"type": "start"}, {"type": "stop"}], "end"),
        ([{"type": "start"}, {"type": "end"}], "nothing to speak"),
        ([{"type": "start"}, {"type": "text", "text": "a " * 3000}], "4096"),
    ],
)
def test_errors_are_reported_and_close_the_connection(
    place: str, messages: list[Any], complaint: str
) -> None:
    with connect(f"ws://{place}/v1/audio/speech/stream", open_timeout=60) as socket:
        for message in messages:
            socket.send(message if isinstance(message, str) else json.dumps(message))
        received = []
        with contextlib.suppress(ConnectionClosedError):
            while True:
                received.append(json.loads(socket.recv(timeout=60)))
    assert received[-1]["type"] == "error"
    assert complaint in received[-1]["error"]["message"]
    assert socket.close_code == 1008


def test_a_lost_client_leaves_nothing_running(place: str) -> None:
    for _ in range(5):
        with opened(place) as socket:
            socket.recv(timeout=60)
            write(socket, "one ")
            socket.recv(timeout=60)

    def gone() -> bool:
        return not any(thread.name == "production" for thread in threading.enumerate())

    done = threading.Event()
    for _ in range(200):
        if gone():
            return
        done.wait(0.1)
    raise AssertionError("a production runs on")


def test_gradio_client_speaks_and_chats(place: str, tmp_path: Path) -> None:
    from gradio_client import Client

    client = Client(f"http://{place}/", download_files=tmp_path, verbose=False)
    path = client.predict(
        text="one two three", voice="kal", instructions="", seed=3, api_name="/speak"
    )
    samples = read_audio(path)
    assert len(samples) == 3 * 4800
    assert mark_of().encode() in Path(path).read_bytes()
    answer, path, history = client.predict(text="Hello.", history=[], voice="", api_name="/chat")
    assert answer and len(read_audio(path)) > 0
    assert history == [["user", "Hello."], ["agent", answer]]
    again, _, longer = client.predict(text="Why?", history=history, voice="", api_name="/chat")
    assert longer[:2] == history and longer[-1] == ["agent", again]


@pytest.mark.parametrize("voice", ["kal", "awb", "alloy"])
def test_each_voice_has_a_cached_sample(place: str, voice: str) -> None:
    url = f"http://{place}/v1/audio/voices/{voice}/sample"
    first = httpx.get(url, timeout=60)
    assert first.headers["content-type"] == "audio/mpeg"
    assert len(read_audio(io.BytesIO(first.content))) > 24_000
    made = len(SPEAKER.dialogues)
    assert httpx.get(url).content == first.content
    assert len(SPEAKER.dialogues) == made
    assert httpx.get(f"http://{place}/v1/audio/voices/nobody/sample").status_code == 404
