"""Uploads are decoded in separate processes, whose stalls, crashes and memory use are contained."""

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from app.api.errors import ApiError
from app.uploads import Uploads
from data.errors import InputError
from tests.app.live import engines, serving
from tests.app.stage import FakeRecognizer
from tests.app.user_sound import speechlike


def wav(samples: np.ndarray, rate: int = 24_000) -> io.BytesIO:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV")
    return buffer


@pytest.fixture
def uploads() -> Iterator[Uploads]:
    made = Uploads(num_processes=1, num_threads=2, max_waiting=1, timeout_s=10.0)
    yield made
    made.close()


def process(uploads: Uploads) -> int:
    running = uploads._all[0]._process
    assert running is not None
    return running.pid


def test_audio_is_decoded_and_the_process_reused(uploads: Uploads) -> None:
    sound = 0.3 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 24_000)
    first = uploads.read(wav(sound), max_seconds=60)
    assert np.abs(first - sound).max() < 1e-4
    before = process(uploads)
    assert len(uploads.read(wav(sound, 12_000), max_seconds=60)) == 2 * len(sound)
    assert len(uploads.read(wav(sound), max_seconds=0.5, cut=True)) == 12_000
    assert process(uploads) == before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"no sound at all", "cannot be decoded"),
        (b"ffconcat version 1.0\nfile /etc/hostname\n", "cannot be decoded"),
        (wav(speechlike(3.0)).getvalue(), "longer than 2 seconds"),
        (wav(speechlike(1.0), 768_000).getvalue(), "sample rate of 768000 Hz"),
        (wav(np.zeros((100, 40))).getvalue(), "40 channels"),
    ],
)
def test_decoding_errors_are_reported_and_the_process_survives(
    uploads: Uploads, content: bytes, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        uploads.read(io.BytesIO(content), max_seconds=2)
    before = process(uploads)
    assert len(uploads.read(wav(speechlike(1.0)), max_seconds=2)) == 24_000
    assert process(uploads) == before


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
def test_a_crashed_or_hanging_process_fails_only_its_file(uploads: Uploads, how: int) -> None:
    uploads.read(wav(speechlike(1.0)), max_seconds=60)
    uploads._all[0]._timeout_s = 2.0
    old = process(uploads)
    os.kill(old, how)
    started = time.monotonic()
    try:
        uploads.read(wav(speechlike(1.0)), max_seconds=60)
    except InputError as error:
        assert "cannot be decoded" in str(error)
    assert time.monotonic() - started < 8
    uploads._all[0]._timeout_s = 20.0
    assert len(uploads.read(wav(speechlike(1.0)), max_seconds=60)) == 24_000
    assert process(uploads) != old


def test_slow_process_start_does_not_count_towards_the_time_limit(
    uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    uploads._all[0]._timeout_s = 2.0
    started = time.monotonic()
    assert len(uploads.read(wav(speechlike(1.0)), max_seconds=60)) == 24_000
    assert time.monotonic() - started > 3.0


@pytest.mark.parametrize("code", ["raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)"])
def test_a_process_that_cannot_start_is_a_server_error(
    uploads: Uploads, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(code)
    with monkeypatch.context() as patched:
        patched.setenv("PYTHONPATH", str(tmp_path))
        with pytest.raises(ApiError, match="cannot start") as refused:
            uploads.read(wav(speechlike(1.0)), max_seconds=60)
    assert refused.value.status == 503
    assert len(uploads.read(wav(speechlike(1.0)), max_seconds=60)) == 24_000


def test_hours_are_decoded_to_a_file(uploads: Uploads) -> None:
    """The process holds a block at a time, and the server a view of the file."""
    buffer = io.BytesIO()
    wave = (3000 * np.sin(np.arange(4_000 * 60) * 0.3)).astype(np.int16)
    with soundfile.SoundFile(buffer, "w", 4_000, 1, format="FLAC") as file:
        for _ in range(61):
            file.write(wave)
    uploads.read(wav(speechlike(1.0)), max_seconds=2)
    sound = uploads.read_long(buffer, max_seconds=2 * 3600)
    assert sound.dtype == np.int16 and len(sound) == 61 * 60 * 24_000
    assert np.abs(sound[24_000 * 3650 :][:1000]).max() > 2000
    with open(f"/proc/{process(uploads)}/status", encoding="ascii") as file:  # noqa: PTH123
        (peak,) = [int(line.split()[1]) for line in file if line.startswith("VmHWM")]
    assert peak < 250_000, f"{peak} kB"
    with pytest.raises(InputError, match="longer than 60 seconds"):
        uploads.read_long(buffer, max_seconds=60)
    assert len(uploads.read_long(wav(speechlike(1.0)), max_seconds=60)) == 24_000


def test_decoding_needs_memory_for_the_wanted_part_only(uploads: Uploads) -> None:
    """A minute of 8 channels at 192 kHz in 94 KB would take 370 MB at once."""
    silence = np.zeros((192_000 * 10, 8), np.int16)
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 192_000, 8, format="FLAC") as file:
        for _ in range(6):
            file.write(silence)
    uploads._all[0]._timeout_s = 60.0  # seconds of work, on busy cores many
    sound = uploads.read(buffer, max_seconds=60)
    assert len(sound) == 60 * 24_000
    with open(f"/proc/{process(uploads)}/status", encoding="ascii") as file:  # noqa: PTH123
        (peak,) = [int(line.split()[1]) for line in file if line.startswith("VmHWM")]
    assert peak < 250_000, f"{peak} kB"


async def _fill(uploads: Uploads, gate: threading.Event) -> None:
    import asyncio

    running = [asyncio.ensure_future(uploads.run(lambda: gate.wait(20))) for _ in range(3)]
    await asyncio.sleep(0.05)
    with pytest.raises(ApiError, match="try again"):
        await uploads.run(lambda: True)
    gate.set()
    assert await asyncio.gather(*running) == [True] * 3
    await asyncio.sleep(0.05)
    assert await uploads.run(lambda: True)


def test_excess_uploads_are_rejected_and_accepted_later(uploads: Uploads) -> None:
    import asyncio

    asyncio.run(_fill(uploads, threading.Event()))


def test_hanging_uploads_do_not_affect_speech() -> None:
    """Of fourteen uploads with stopped processes, two decode, two work, eight wait, two are
    rejected."""
    shared = engines(recognizer=FakeRecognizer(*["hello"] * 20))
    for decoder in shared.uploads._all:
        decoder._timeout_s = 60.0
        os.kill(decoder._running().pid, signal.SIGSTOP)
    statuses: list[httpx.Response] = []

    def post(place: str) -> None:
        url = f"http://{place}/v1/audio/transcriptions"
        answer = httpx.post(url, files={"file": wav(speechlike(1.0)).getvalue()}, timeout=60)
        statuses.append(answer)

    with serving(shared) as (place, _):
        threads = [threading.Thread(target=post, args=(place,)) for _ in range(14)]
        for thread in threads:
            thread.start()
        while len(statuses) < 2:
            time.sleep(0.01)
        assert [one.status_code for one in statuses] == [429, 429]
        assert int(statuses[0].headers["Retry-After"]) > 0
        assert "try again" in statuses[0].json()["error"]["message"]
        for _ in range(8):
            asked = {"input": "one two", "response_format": "pcm"}
            spoken = httpx.post(f"http://{place}/v1/audio/speech", json=asked, timeout=5)
            assert len(spoken.content) == 2 * 2 * 4800
        for decoder in shared.uploads._all:
            assert decoder._process is not None
            os.kill(decoder._process.pid, signal.SIGCONT)
        for thread in threads:
            thread.join(30)
    assert sorted(one.status_code for one in statuses) == [200] * 12 + [429] * 2


def test_many_clips_are_rejected_and_the_server_leaves_no_process() -> None:
    shared = engines()
    with serving(shared) as (place, _):
        files = [("audio_sample", ("a.wav", wav(speechlike(1.0)).getvalue())) for _ in range(100)]
        data = {"name": "anna", "consent": "she said so"}
        url = f"http://{place}/v1/audio/voices"
        answer = httpx.post(url, data=data, files=files, timeout=60)
        assert answer.status_code == 400
        assert "100 clips" in answer.json()["error"]["message"]
        answer = httpx.post(url, data=data, files=files[:2], timeout=60)
        assert answer.status_code == 400 and "speech" in answer.text
        children = [one._process for one in shared.uploads._all if one._process]
        assert children
    assert all(child.wait(5) is not None for child in children)
