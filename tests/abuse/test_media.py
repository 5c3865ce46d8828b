"""Hostile media against a server with the bundled models, whose memory is monitored.

`.venv/bin/python -m pytest tests/abuse/test_media.py -m abuse -s`; about two minutes.
"""

import io
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import soundfile

from tests.abuse.server import MOST, Server, serving
from tests.app.voice_sound import espeak_voice
from tests.data.audio.samples import sample

pytestmark = pytest.mark.abuse


class Uploads:
    """A hostile request."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def transcribe(self, content: bytes) -> httpx.Response:
        files = {"file": ("a.wav", content)}
        return httpx.post(f"{self.server.url}/v1/audio/transcriptions", files=files, timeout=200)

    def clone(self, name: str, *clips: bytes) -> httpx.Response:
        files = [("audio_sample", ("a.wav", clip)) for clip in clips]
        data = {"name": name, "consent": "it is a machine", "transcript": "I walked."}
        url = f"{self.server.url}/v1/audio/voices"
        return httpx.post(url, data=data, files=files, timeout=200)


@pytest.fixture(scope="module")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploads]:
    """A warmed-up server, which has spoken, cloned and transcribed."""
    with serving(tmp_path_factory.mktemp("voices")) as server:
        warm, good = Uploads(server), wav(espeak_voice()[: 6 * 24_000])
        for _ in range(2):
            server.speak()
        assert warm.clone("good", good).status_code == 200
        with ThreadPoolExecutor(4) as pool:  # the maximum concurrency
            answers = list(pool.map(warm.transcribe, [good] * 4))
        assert {one.status_code for one in answers} == {200}
        yield warm


def wav(samples: np.ndarray, rate: int = 24_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV")
    return buffer.getvalue()


def silence(seconds: float, rate: int, channels: int) -> bytes:
    """As FLAC, which compresses it to almost nothing."""
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
def test_what_swells_is_answered_in_the_memory_of_ordinary_work(uploads: Uploads, make) -> None:
    server = uploads.server
    working, content = server.memory, make()
    server.peak = 0.0
    with ThreadPoolExecutor(6) as pool:
        answers = [*pool.map(uploads.transcribe, [content] * 3)]
        answers += pool.map(lambda n: uploads.clone(f"bad{n}", content), range(3))
    assert {one.status_code for one in answers} <= {200, 400, 429}
    assert all(one.json() for one in answers)
    print(f"{working:.0f} MB, at most {server.peak:.0f} MB", end=" ")
    assert server.peak < MOST * working
    assert server.speak() < 30


def test_a_hundred_clips_are_refused(uploads: Uploads) -> None:
    working, clip = uploads.server.memory, silence(100, 8_000, 1)
    uploads.server.peak = 0.0
    assert uploads.clone("hundred", *[clip] * 100).status_code == 400
    assert uploads.clone("twenty", *[clip] * 20).status_code == 400
    assert uploads.server.peak < MOST * working


def test_speech_continues_beside_hostile_uploads(uploads: Uploads) -> None:
    server = uploads.server
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        hostile = [*lists(listener.getsockname()[1]), silence(15, 384_000, 8)] * 4
        alone = server.speak()
        with ThreadPoolExecutor(16) as pool:
            answers = pool.map(uploads.transcribe, hostile)
            beside = [server.speak() for _ in range(4)]
            statuses = {one.status_code for one in answers}
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert statuses <= {200, 400, 429}
    print(f"{alone:.1f} s alone, {max(beside):.1f} s beside", end=" ")
    assert max(beside) < 5 * alone + 5
