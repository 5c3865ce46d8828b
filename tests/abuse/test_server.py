"""A server that runs out of file descriptors, is killed midway, or shares its voices with another.

`launch.py test tests/abuse/test_server.py -m abuse -s`; about four minutes.
"""

import base64
import contextlib
import json
import resource
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import WebSocketException

from app.library import Library
from tests.abuse.server import Server, serving, typed
from tests.abuse.test_media import wav
from tests.app.user_sound import speechlike
from tests.app.voice_sound import espeak_voice

pytestmark = pytest.mark.abuse
FILES = 96
LONG = "The train was late and we waited near the old bridge. " * 30


def clone(server: Server, name: str) -> httpx.Response:
    files = [("audio_sample", ("a.wav", wav(espeak_voice()[: 6 * 24_000])))]
    data = {"name": name, "consent": "it is a machine", "transcript": "I walked."}
    return httpx.post(f"{server.url}/v1/audio/voices", data=data, files=files, timeout=120)


def remove(server: Server, name: str) -> int:
    return httpx.delete(f"{server.url}/v1/audio/voices/{name}", timeout=60).status_code


def voices(server: Server) -> set[str]:
    answer = httpx.get(f"{server.url}/v1/audio/voices", timeout=60).json()
    return {voice["id"] for voice in answer["data"]}


def test_it_survives_without_file_descriptors_and_recovers(tmp_path: Path) -> None:
    with serving(tmp_path, limits={resource.RLIMIT_NOFILE: FILES}) as server:
        server.speak()
        with contextlib.ExitStack() as stack:
            for _ in range(2 * FILES):
                one = stack.enter_context(socket.socket())
                one.settimeout(0.2)
                with contextlib.suppress(OSError):
                    one.connect(("127.0.0.1", server.port))
            time.sleep(2)
            for ask in (lambda: server.speak(), lambda: clone(server, "anna")):
                give_up(ask, after_s=3)
            assert server.process.poll() is None
        time.sleep(2)
        assert server.process.poll() is None
        assert server.speak() < 60
        with server.realtime() as talk:
            assert json.loads(talk.recv(20))["type"] == "session.created"
        assert clone(server, "bella").status_code == 200
        assert "bella" in voices(server)


def give_up(ask: Callable[[], object], after_s: float) -> None:
    """Sends a request with a timeout."""

    def asking() -> None:
        with contextlib.suppress(httpx.HTTPError, AssertionError):
            ask()

    thread = threading.Thread(target=asking, daemon=True)
    thread.start()
    thread.join(after_s)


def in_a_reply(server: Server) -> None:
    asked = {"input": LONG, "response_format": "pcm"}
    with httpx.stream("POST", f"{server.url}/v1/audio/speech", json=asked, timeout=60) as answer:
        next(answer.iter_bytes())
        server.process.kill()


def in_an_answer(server: Server) -> None:
    with server.realtime() as talk:
        talk.send(json.dumps(typed("Tell me a story")))
        talk.send(json.dumps({"type": "response.create"}))
        while "audio.delta" not in json.loads(talk.recv(60))["type"]:
            pass
        server.process.kill()


def in_an_utterance(server: Server) -> None:
    sound = (speechlike(3.0) * 32767).astype("<i2").tobytes()
    with server.realtime() as talk:
        for at in range(0, len(sound), 4800):
            piece = base64.b64encode(sound[at : at + 4800]).decode()
            talk.send(json.dumps({"type": "input_audio_buffer.append", "audio": piece}))
        while json.loads(talk.recv(60))["type"] != "input_audio_buffer.speech_started":
            pass
        server.process.kill()


def in_a_clone(server: Server) -> None:
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(clone, server, name) for name in ("carla", "dora")]
        time.sleep(0.4)
        server.process.kill()
        for one in asked:
            with contextlib.suppress(httpx.HTTPError):
                one.result()


@pytest.mark.parametrize("kill", [in_a_reply, in_an_answer, in_an_utterance, in_a_clone])
def test_one_that_is_killed_leaves_nothing_half_done(
    kill: Callable[[Server], None], tmp_path: Path
) -> None:
    library, temporary = tmp_path / "voices", tmp_path / "tmp"
    temporary.mkdir()
    with serving(library, TMPDIR=str(temporary)) as server:
        assert clone(server, "anna").status_code == 200
        children = _children(server)
        with contextlib.suppress(httpx.HTTPError, WebSocketException, OSError):
            kill(server)
        assert server.process.wait(10) == -9
    end = time.monotonic() + 30
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < end:
        time.sleep(0.1)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]
    assert not list(temporary.rglob("*.wav"))
    whole = Library(library)
    for name in whole.names():
        whole.load(name)  # none is damaged
    with serving(library, TMPDIR=str(temporary)) as server:
        assert "anna" in voices(server)
        assert clone(server, "emma").status_code == 200
        assert server.speak() < 60
    assert not [path for path in library.iterdir() if ".part-" in path.name]


def _children(server: Server) -> list[str]:
    lists = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    return [child for one in lists for child in one.read_text().split()]


def test_two_servers_share_a_library(tmp_path: Path) -> None:
    wrong: list[str] = []
    with serving(tmp_path) as one, serving(tmp_path) as other:

        def work(server: Server, own: str) -> None:
            for turn in range(4):
                for name in (f"{own}{turn}", "shared"):
                    answer = clone(server, name)
                    if answer.status_code == 429:
                        time.sleep(1)
                    elif answer.status_code not in (200, 400):
                        wrong.append(f"clone {name}: {answer.status_code} {answer.text}")
                if remove(server, "shared") not in (200, 400, 404):
                    wrong.append(f"remove: {answer.status_code}")
                if turn % 2 and remove(server, f"{own}{turn}") != 200:
                    wrong.append(f"lost: {own}{turn}")

        threads = [
            threading.Thread(target=work, args=(server, own))
            for server, own in ((one, "a"), (other, "b"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
        assert not wrong
        time.sleep(4)
        library = Library(tmp_path)
        kept = set(library.names())
        assert {"a0", "a2", "b0", "b2"} <= kept <= {"a0", "a2", "b0", "b2", "shared"}
        for name in kept:
            library.load(name)
        assert kept <= voices(one) and voices(one) == voices(other)
        asked = {"input": "Hello there.", "voice": "a0", "response_format": "pcm"}
        assert httpx.post(f"{other.url}/v1/audio/speech", json=asked, timeout=60).is_success
