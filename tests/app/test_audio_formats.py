"""Audio formats of the realtime protocol: round trips in pieces of any size."""

import numpy as np
import pytest
import soundfile

from app.api.audio_formats import FORMATS, SoundReader, SoundWriter
from app.protocol import ProtocolError
from tests.app.user_sound import speechlike

RATE = 24_000
KINDS = sorted(set(FORMATS.values()))


def written(kind: str, samples: np.ndarray, step: int) -> bytes:
    writer = SoundWriter(kind)
    pieces = [writer.write(samples[at : at + step]) for at in range(0, len(samples), step)]
    return b"".join([*pieces, writer.flush()])


def read(kind: str, content: bytes, step: int) -> np.ndarray:
    reader = SoundReader(kind)
    pieces = [reader.read(content[at : at + step]) for at in range(0, len(content), step)]
    return np.concatenate([*pieces, reader.flush()])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [960, 480, 1000, 24_000, 100_000])
def test_audio_survives_a_round_trip(kind: str, step: int) -> None:
    sound = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32) * 0.5
    content = written(kind, sound, step)
    assert len(content) == pytest.approx(2 * RATE if kind == "audio/pcm" else RATE // 3, abs=8)
    back = read(kind, content, step)
    assert len(back) == pytest.approx(RATE, abs=30)
    middle = slice(2000, 20_000)
    error = np.sqrt(np.mean(np.square(back[middle] - sound[middle])))
    assert error < (0.0001 if kind == "audio/pcm" else 0.01)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [2, 160, 514, 999_998])
def test_the_size_of_pieces_does_not_matter(kind: str, step: int) -> None:
    content = written(kind, speechlike(0.3), 960)
    assert np.array_equal(read(kind, content, step), read(kind, content, len(content)))


@pytest.mark.parametrize(("kind", "subtype"), [("audio/pcmu", "ULAW"), ("audio/pcma", "ALAW")])
def test_g711_matches_libsndfile(kind: str, subtype: str, tmp_path: object) -> None:
    path = f"{tmp_path}/x.wav"
    sound = speechlike(0.5)
    soundfile.write(path, sound[::3], 8000, subtype=subtype)
    with open(path, "rb") as file:  # noqa: PTH123
        content = file.read()[-4000:]
    decoded = read(kind, content, 400)
    assert np.abs(decoded).max() == pytest.approx(np.abs(sound).max(), rel=0.2)
    # ITU-T G.711: silence is 0xff in mu-law, 0xd5 in A-law
    quiet = written(kind, np.zeros(2400, np.float32), 480)
    assert set(quiet) <= ({0xFF, 0x7F} if kind == "audio/pcmu" else {0xD5, 0x55})


@pytest.mark.parametrize("kind", KINDS)
def test_loud_audio_is_clipped(kind: str) -> None:
    back = read(kind, written(kind, np.full(4800, 3.0, np.float32), 480), 100)
    assert 0.9 < np.median(back) <= 1.0


@pytest.mark.parametrize(
    ("kind", "content"),
    [("audio/pcm", b""), ("audio/pcm", b"x"), ("audio/pcm", b"xyz"), ("audio/pcmu", b""),
     ("audio/pcma", b"")],
)  # fmt: skip
def test_partial_samples_are_rejected(kind: str, content: bytes) -> None:
    with pytest.raises(ProtocolError, match="whole samples"):
        SoundReader(kind).read(content)
