"""Time to first audio of a long text, by format; `-m slow -s` prints it.

Headers do not count: what has come must decode to at least 40 ms of sound. It is decoded after the
stream, because the server runs in the same process.
"""

import io
import time

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
