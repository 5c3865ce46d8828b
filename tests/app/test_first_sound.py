"""Time to first audio of a long text, by format, and of eight at once; `-m slow -s` prints it.

Headers do not count: what has come must decode to at least 40 ms of sound. It is decoded after the
stream, because the server runs in the same process.
"""

import io
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from data.audio import read_audio
from data.errors import InputError
from models.speaker import Speaker
from tests.app.live import engines, serving

pytestmark = pytest.mark.slow
TEXT = "The train was late and we waited near the old bridge again. " * 10  # 120 words
_LEAST_S = 0.04
_LISTENED_S = 1.0  # from the first piece on


def seconds_of(content: bytes, kind: str) -> float:
    if kind == "pcm":
        return len(content) / 48_000
    try:
        return len(read_audio(io.BytesIO(content))) / 24_000
    except InputError:  # the header alone
        return 0.0


def first_sound_s(place: str, kind: str) -> float:
    asked = {"input": TEXT, "response_format": kind, "seed": 1}
    pieces, content, started = [], b"", time.perf_counter()
    with httpx.stream("POST", f"http://{place}/v1/audio/speech", json=asked, timeout=120) as answer:
        for piece in answer.iter_raw():
            pieces.append((time.perf_counter() - started, piece))
            if pieces[-1][0] > pieces[0][0] + _LISTENED_S:
                break
    for came, piece in pieces:
        content += piece
        if seconds_of(content, kind) >= _LEAST_S:
            return came
    raise AssertionError(f"{kind}: no sound came")


def test_first_audio_of_all_formats_is_as_early_as_pcm() -> None:
    with serving(engines(speaker=Speaker.load())) as (place, _):
        first_sound_s(place, "pcm")  # warms up
        found = {}
        for kind in ("pcm", "mp3", "opus", "aac", "flac", "wav"):
            found[kind] = min(first_sound_s(place, kind) for _ in range(3))
            time.sleep(0.5)
    print({kind: f"{seconds:.2f} s" for kind, seconds in found.items()})
    for kind in ("mp3", "opus", "aac", "flac", "wav"):
        assert found[kind] <= 1.5 * found["pcm"], found


def spoken_at_once(place: str, number: int) -> tuple[str, float, float]:
    """What became of a request, the seconds to its first sound, and the longest gap in s if
    playback starts with it."""
    asked = {"input": TEXT, "response_format": "pcm", "seed": number}
    begun, received, late_s, started = time.perf_counter(), 0, 0.0, 0.0
    with httpx.stream("POST", f"http://{place}/v1/audio/speech", json=asked, timeout=120) as answer:
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            return "refused", time.perf_counter() - begun, 0.0
        assert answer.status_code == 200
        for piece in answer.iter_raw():
            now = time.perf_counter()
            started = started or now
            late_s = max(late_s, now - started - received / 48_000)
            received += len(piece)
    assert received / 48_000 > 20
    return "spoken", started - begun, late_s


def test_of_eight_requests_at_once_none_stalls() -> None:
    with serving(engines(speaker=Speaker.load())) as (place, _):
        first_sound_s(place, "pcm")
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda number: spoken_at_once(place, number), range(8)))
    for what, first_s, late_s in found:
        print(f"{what} after {first_s:.2f} s, late by {late_s:.2f} s")
    spoken = [late_s for what, _, late_s in found if what == "spoken"]
    assert len(spoken) >= 2
    assert max(spoken) <= 0.1
