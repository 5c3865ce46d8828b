"""Truncated files are detected in every container."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from data.errors import InputError
from data.ncssd import decode
from data.ncssd.config import BuildConfig
from data.ncssd.stage import Context
from data.ncssd.store import Store
from data.ncssd.truth.sound import FILES
from tests.data.ncssd import made

CONTAINERS = tuple(FILES)
FILMS = ("mp4", "mov", "mkv", "webm", "avi", "flv", "ts")
KNOWN_HALVES = ("mp4", "mov", "mkv", "webm", "avi")  # the others do not state the audio's length


def decoded(path, tmp_path, keep_damaged=False):
    config = BuildConfig().replace("decode", keep_damaged=keep_damaged)
    context = Context(config, Store(tmp_path / "work"), {"x": path})
    (row,) = decode.run({"sha256": "x"}, context, "key")
    return row


@pytest.fixture(scope="module")
def sound():
    return made.conversation(4)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_a_complete_file_is_accepted(sound, tmp_path, kind):
    row = decoded(made.write(tmp_path / f"a.{kind}", sound, 24_000), tmp_path)
    assert "damaged" not in row
    assert abs(row["duration"] - sound.shape[0] / 24_000) < 0.15


@pytest.mark.parametrize("kind", CONTAINERS)
def test_half_a_file_is_rejected_with_the_reason(sound, tmp_path, kind):
    path = made.write(tmp_path / f"a.{kind}", sound, 24_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(InputError, match=r"ends early|damaged|cannot be decoded as"):
        decoded(path, tmp_path)
    assert not list((tmp_path / "work").rglob("*.wav"))


@pytest.mark.parametrize("kind", ["wav", "mp3", "ogg", "mkv"])
def test_a_setting_allows_truncated_files_and_marks_their_rows(sound, tmp_path, kind):
    path = made.write(tmp_path / f"a.{kind}", sound, 24_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    row = decoded(path, tmp_path, keep_damaged=True)
    assert 0.4 < row["duration"] * 24_000 / sound.shape[0] < 0.7
    assert "ends early" in row["damaged"]


def film(path: Path, starts_s: float = 0.0) -> Path:
    """A film with 8 s of audio and 20 s of video."""
    kind = path.suffix[1:]
    codecs = {"webm": ("libvpx", "libopus"), "avi": ("mpeg4", "libmp3lame"), "flv": ("flv", "aac")}
    coded, spoken = codecs.get(kind, ("mpeg4", "aac"))
    fast = {"movflags": "faststart"} if kind in ("mp4", "mov") else {}
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=fast) as output:
        picture = output.add_stream(coded, rate=5)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuv420p"
        sound = output.add_stream(spoken, rate=48_000 if kind == "webm" else 24_000, layout="mono")
        encoder = sound.codec_context
        even = av.AudioResampler(encoder.format, "mono", sound.rate, encoder.frame_size)
        pcm = (3000 * rng.standard_normal((1, sound.rate * 8))).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = sound.rate
        frame.pts, frame.time_base = round(starts_s * sound.rate), Fraction(1, sound.rate)
        packets = []
        for _ in range(100):
            pixels = rng.integers(0, 255, (32, 32, 3), np.uint8)
            packets += picture.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
        for part in [*even.resample(frame), *even.resample(None)]:
            packets += sound.encode(part)
        packets += [*picture.encode(None), *sound.encode(None)]
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            output.mux(packet)
    return path


@pytest.mark.parametrize("kind", FILMS)
def test_video_longer_than_its_audio_is_accepted(tmp_path, kind):
    row = decoded(film(tmp_path / f"a.{kind}"), tmp_path)
    assert "damaged" not in row
    assert abs(row["duration"] - 8.0) < 0.15


@pytest.mark.parametrize("kind", KNOWN_HALVES)
def test_half_a_film_is_rejected_with_the_reason(tmp_path, kind):
    path = film(tmp_path / f"a.{kind}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])
    with pytest.raises(InputError, match="ends early"):
        decoded(path, tmp_path)


def test_a_film_whose_audio_starts_late_is_accepted(tmp_path):
    row = decoded(film(tmp_path / "a.mkv", starts_s=4.0), tmp_path)
    assert "damaged" not in row and abs(row["duration"] - 8.0) < 0.15


def test_matroska_without_stream_lengths_is_accepted_and_half_of_it_is_rejected(tmp_path):
    path = film(tmp_path / "a.mkv")
    whole = path.read_bytes().replace(b"DURATION", b"OTHERTAG")
    path.write_bytes(whole)
    assert "damaged" not in decoded(path, tmp_path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="bytes are there"):
        decoded(path, tmp_path)


def test_a_file_with_a_zero_filled_end_is_rejected(tmp_path):
    """A partial download into preallocated space."""
    path = film(tmp_path / "a.mkv")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 4] + bytes(len(whole) - len(whole) // 4))
    with pytest.raises(InputError, match=r"of 8\.0 s are there|damaged"):
        decoded(path, tmp_path)
