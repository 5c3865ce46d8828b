"""Any container decodes to the same working copy; unusable files are rejected with the reason."""

import numpy as np
import pytest

from data.errors import InputError
from data.ncssd import decode
from data.ncssd.config import BuildConfig
from data.ncssd.stage import Context
from data.ncssd.store import Store
from data.ncssd.truth.sound import write_media

TONE = (0.3 * np.sin(2 * np.pi * 220 * np.arange(24_000 * 4) / 24_000)).astype(np.float32)


def decoded(path, tmp_path):
    context = Context(BuildConfig(), Store(tmp_path / "work"), {"x": path})
    (row,) = decode.run({"sha256": "x"}, context, "key")
    return row, context.read(row["audio"], 0.0, row["duration"])


@pytest.mark.parametrize(
    ("kind", "rate", "channels"),
    [
        ("wav", 8_000, 1),
        ("wav", 44_100, 2),
        ("flac", 48_000, 1),
        ("mp3", 44_100, 2),
        ("ogg", 48_000, 1),
        ("mp4", 44_100, 1),
        ("mkv", 16_000, 2),
    ],
)
def test_every_container_decodes_to_its_original_audio(tmp_path, kind, rate, channels):
    path = tmp_path / f"a.{kind}"
    write_media(path, TONE, rate, channels)
    row, samples = decoded(path, tmp_path)
    assert abs(row["duration"] - 4.0) < 0.15
    assert row["channels"] == channels
    middle = samples[24_000:72_000]
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() == 440  # 220 Hz in 2 s
    assert 0.15 < np.sqrt((middle**2).mean()) < 0.25


def test_a_range_is_read_to_the_sample(tmp_path):
    path = tmp_path / "a.wav"
    write_media(path, TONE, 24_000)
    context = Context(BuildConfig(), Store(tmp_path / "work"), {"x": path})
    (row,) = decode.run({"sha256": "x"}, context, "key")
    part = context.read(row["audio"], 1.0, 1.5)
    assert part.shape == (12_000,)
    assert np.abs(part - TONE[24_000:36_000]).max() < 1e-3


def broken(kind, tmp_path):
    path = tmp_path / "b.wav"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is not sound " * 50)
    elif kind == "silent":
        write_media(path, np.zeros(24_000 * 4, np.float32), 16_000)
    elif kind == "short":
        write_media(path, TONE[:4_000], 16_000)
    elif kind == "clipped":
        write_media(path, np.sign(TONE) * np.float32(1.0), 24_000)
    elif kind == "cut off":
        whole = tmp_path / "w.mp4"
        write_media(whole, TONE, 16_000)
        path = tmp_path / "b.mp4"
        path.write_bytes(whole.read_bytes()[:2000])
    elif kind == "no audio":
        import av

        path = tmp_path / "b.mkv"
        with av.open(str(path), "w") as output:
            stream = output.add_stream("mpeg4", rate=5)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame(32, 32, "yuv420p")
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                output.mux(packet)
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("empty", "0 bytes"),
        ("text", "cannot be decoded"),
        ("silent", "silent throughout"),
        ("short", "lasts"),
        ("clipped", "clipped"),
        ("cut off", "cannot be decoded|no audio"),
        ("no audio", "no audio stream"),
    ],
)
def test_unusable_files_are_rejected_with_the_reason_and_leave_no_copy(tmp_path, kind, says):
    path = broken(kind, tmp_path)
    with pytest.raises(InputError, match=says):
        decoded(path, tmp_path)
    assert not list((tmp_path / "work").rglob("*.wav"))
