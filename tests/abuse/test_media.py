"""Hostile media against a server with the bundled models, its memory watched.

`.venv/bin/python -m pytest tests/abuse/test_media.py -m abuse -s`; about two minutes.
"""

import contextlib
import io
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from tests.app.voice_sound import espeak_voice
from tests.data.audio.samples import sample

pytestmark = pytest.mark.abuse
ROOT = Path(__file__).parents[2]
_MOST = 1.5  # of the working size
_LIMIT = 16 << 30  # of address space: a server that runs away fails alone


class Server:
    """A process of its own.

    Attributes:
        url: up to the port.
        peak: kB of it and its children together, at most so far.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.url, self.peak = f"http://127.0.0.1:{port}", 0
        self._process = process
        threading.Thread(target=self._watch, daemon=True).start()

    def speak(self) -> float:
        """Seconds that a sentence takes."""
        asked = {"input": "The train leaves at nine.", "response_format": "pcm", "seed": 1}
        started = time.monotonic()
        answer = httpx.post(f"{self.url}/v1/audio/speech", json=asked, timeout=120)
        assert answer.status_code == 200 and len(answer.content) > 20_000
        return time.monotonic() - started

    def transcribe(self, content: bytes) -> httpx.Response:
        files = {"file": ("a.wav", content)}
        return httpx.post(f"{self.url}/v1/audio/transcriptions", files=files, timeout=200)

    def clone(self, name: str, *clips: bytes) -> httpx.Response:
        files = [("audio_sample", ("a.wav", clip)) for clip in clips]
        data = {"name": name, "consent": "it is a machine", "transcript": "I walked."}
        return httpx.post(f"{self.url}/v1/audio/voices", data=data, files=files, timeout=200)

    def _watch(self) -> None:
        while self._process.poll() is None:
            self.peak = max(self.peak, _size(self._process.pid))
            time.sleep(0.02)


def _size(pid: int) -> int:
    """Resident kB of a process and its children."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        own = next((int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS")), 0)
        lists = Path(f"/proc/{pid}/task").glob("*/children")  # each thread has its own
        children = [child for one in lists for child in one.read_text().split()]
        return own + sum(_size(int(child)) for child in children)
    return 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Warm: it has spoken, cloned and transcribed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    with subprocess.Popen(
        [sys.executable, "launch.py", "--no-venv", "serve", "--port", str(port)],
        cwd=ROOT,
        env={**os.environ, "REPARTEE_VOICES": str(folder)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (_LIMIT, _LIMIT)),
    ) as process:
        try:
            running = Server(process, port)
            _wait(process, running.url)
            good = wav(espeak_voice()[: 6 * 24_000])
            for _ in range(2):
                running.speak()
            assert running.clone("good", good).status_code == 200
            with ThreadPoolExecutor(4) as pool:  # as many as it works on at once
                answers = list(pool.map(running.transcribe, [good] * 4))
            assert {one.status_code for one in answers} == {200}
            yield running
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert process.poll() is None
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/healthz", timeout=5).is_success:
                return
        time.sleep(0.3)
    raise AssertionError("the server does not start")


def wav(samples: np.ndarray, rate: int = 24_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV")
    return buffer.getvalue()


def silence(seconds: float, rate: int, channels: int) -> bytes:
    """In FLAC, where it takes no room."""
    block = np.zeros((rate, channels), np.int16)
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", rate, channels, format="FLAC") as file:
        for _ in range(round(seconds)):
            file.write(block)
    return buffer.getvalue()


def index_bomb() -> bytes:
    """A film that announces 90 million packets of one byte: their index alone takes 2 GB."""
    made = bytearray(sample("m4a"))
    at = made.index(b"stsz")
    made[at + 8 : at + 16] = struct.pack(">II", 1, 90_000_000)
    at = made.index(b"stsc")
    made[at + 12 : at + 24] = struct.pack(">III", 1, 90_000_000, 1)
    return bytes(made)


def lists(port: int) -> list[bytes]:
    return [
        b"ffconcat version 1.0\nfile README.md\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=audio {port} RTP/AVP 0\n".encode(),
        f"#EXTM3U\n#EXTINF:3,\nhttp://127.0.0.1:{port}/a.wav\n#EXT-X-ENDLIST\n".encode(),
    ] * 2


SWELLING = {
    "8 channels at 655 kHz": lambda: silence(5, 655_350, 8),
    "8 channels at 384 kHz": lambda: silence(15, 384_000, 8),
    "an hour of silence": lambda: silence(3600, 8_000, 1),
    "16 channels": lambda: wav(np.zeros((700_000, 16), np.int16), 48_000),
    "one sample a second": lambda: wav(np.zeros(5_000_000, np.int16), 1),
    "an index of 2 GB": index_bomb,
    "24 MB of nothing": lambda: bytes(24_000_000),
    "24 MB of noise": lambda: np.random.default_rng(0).bytes(24_000_000),
    "a tag of 20 MB": lambda: b"ID3\x04\0\0\x09\x00\x00\x00" + bytes(20_000_000) + sample("mp3"),
}


@pytest.mark.parametrize("make", SWELLING.values(), ids=SWELLING)
def test_what_swells_is_answered_in_the_memory_of_ordinary_work(server: Server, make) -> None:
    working = _size(server._process.pid)
    content = make()
    server.peak = 0
    with ThreadPoolExecutor(6) as pool:
        answers = [*pool.map(server.transcribe, [content] * 3)]
        answers += pool.map(lambda n: server.clone(f"bad{n}", content), range(3))
    assert {one.status_code for one in answers} <= {200, 400, 429}
    assert all(one.json() for one in answers)
    print(f"{working / 1024:.0f} MB, at most {server.peak / 1024:.0f} MB", end=" ")
    assert server.peak < _MOST * working
    assert server.speak() < 30


def test_a_hundred_clips_are_refused(server: Server) -> None:
    working, clip = _size(server._process.pid), silence(100, 8_000, 1)
    server.peak = 0
    assert server.clone("hundred", *[clip] * 100).status_code == 400
    assert server.clone("twenty", *[clip] * 20).status_code == 400
    assert server.peak < _MOST * working


def test_speech_goes_on_beside_hostile_uploads(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        hostile = [*lists(listener.getsockname()[1]), silence(15, 384_000, 8)] * 4
        alone = server.speak()
        with ThreadPoolExecutor(16) as pool:
            answers = pool.map(server.transcribe, hostile)
            beside = [server.speak() for _ in range(4)]
            statuses = {one.status_code for one in answers}
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert statuses <= {200, 400, 429}
    print(f"{alone:.1f} s alone, {max(beside):.1f} s beside", end=" ")
    assert max(beside) < 5 * alone + 5
