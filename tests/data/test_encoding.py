"""Streaming encoders write valid files, and tempo changes keep the pitch."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from data.audio import (
    FORMATS,
    StreamEncoder,
    TempoStream,
    encode_audio,
    mark_of,
    read_audio,
)
from data.errors import InputError

RATE = 24_000
MAGIC = {"wav": b"RIFF", "flac": b"fLaC", "opus": b"OggS", "aac": b"ID3", "mp3": b"ID3"}


def tone(seconds: float, hz: float = 440.0) -> np.ndarray:
    at = np.arange(round(seconds * RATE)) / RATE
    return (0.4 * np.sin(2 * np.pi * hz * at)).astype(np.float32)


def encoded(samples: np.ndarray, kind: str, size: int) -> list[bytes]:
    encoder = StreamEncoder(kind, RATE)
    pieces = [encoder.push(samples[i : i + size]) for i in range(0, len(samples), size)]
    return [*pieces, encoder.finish()]


def loudest_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE / len(samples)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("size", [960, 1920, 7777, 100_000])
def test_the_pieces_form_a_valid_file(kind: str, size: int) -> None:
    samples = tone(1.6)
    content = b"".join(encoded(samples, kind, size))
    if kind == "pcm":
        read = np.frombuffer(content, "<i2") / 32767
    else:
        assert content.startswith(MAGIC[kind])
        read = read_audio(io.BytesIO(content))
    assert abs(len(read) - len(samples)) < 0.15 * RATE  # a lossy codec pads its last frame
    assert abs(loudest_hz(read[2400:-4800]) - 440) < 3
    if kind in ("pcm", "wav", "flac"):
        np.testing.assert_allclose(read, samples, atol=1e-4)


@pytest.mark.parametrize("kind", FORMATS)
def test_bytes_are_emitted_long_before_the_end(kind: str) -> None:
    pieces = encoded(tone(6.0), kind, 960)
    lossless = kind in ("pcm", "wav", "flac")
    soon = b"".join(pieces[: 1 if lossless else 4])  # of 40 ms, or 160 ms
    num_samples = len(soon) // 2 if kind == "pcm" else len(read_audio(io.BytesIO(soon)))
    assert num_samples >= 0.04 * RATE
    sizes = np.cumsum([len(piece) for piece in pieces])
    assert 0.4 < sizes[len(pieces) // 2] / sizes[-1] < 0.6


@pytest.mark.parametrize("kind", ["wav", "mp3", "opus"])
def test_common_libraries_can_read_it(kind: str) -> None:
    content = b"".join(encoded(tone(1.0), kind, 960))
    samples, rate = soundfile.read(io.BytesIO(content))
    assert abs(len(samples) / rate - 1.0) < 0.15


@pytest.mark.parametrize("kind", FORMATS)
def test_empty_audio_is_not_an_error(kind: str) -> None:
    encoder = StreamEncoder(kind, RATE)
    assert isinstance(encoder.push(np.zeros(0, np.float32)) + encoder.finish(), bytes)


def test_unknown_formats_and_invalid_samples_are_rejected() -> None:
    with pytest.raises(InputError, match="choose one of wav"):
        StreamEncoder("exe", RATE)
    with pytest.raises(InputError, match="not all numbers"):
        StreamEncoder("mp3", RATE).push(np.array([np.nan], np.float32))


@pytest.mark.parametrize("tempo", [0.5, 0.625, 0.9, 1.0, 1.3, 1.6, 4.0])
@pytest.mark.parametrize("size", [960, 15_360])
def test_tempo_changes_the_length_and_not_the_pitch(tempo: float, size: int) -> None:
    samples, stream = tone(4.0), TempoStream(tempo, RATE)
    pieces = [stream.push(samples[i : i + size]) for i in range(0, len(samples), size)]
    changed = np.concatenate([*pieces, stream.finish()])
    assert abs(len(changed) * tempo / len(samples) - 1) < 0.04
    assert abs(loudest_hz(changed[2400:-2400]) - 440) < 6


def _pushed(stream: Any, finish: bool) -> None:
    stream.push(tone(0.3))
    if finish:
        stream.finish()


def _of_this_process(what: str) -> int:
    return sum(1 for _ in Path(f"/proc/self/{what}").iterdir())


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists threads")
@pytest.mark.parametrize("finish", [True, False], ids=["finished", "abandoned"])
@pytest.mark.parametrize(
    "make",
    [lambda kind=kind: StreamEncoder(kind, RATE) for kind in FORMATS]
    + [lambda tempo=tempo: TempoStream(tempo, RATE) for tempo in (0.5, 1.3, 4.0)],
    ids=[*FORMATS, "slower", "faster", "fastest"],
)
def test_streams_leave_no_thread_and_no_descriptor(make: Callable[[], Any], finish: bool) -> None:
    """Those of filter graphs and resamplers outlived their clients."""
    before = _of_this_process("task"), _of_this_process("fd")
    streams = [make() for _ in range(8)]
    for stream in streams:
        _pushed(stream, finish)
    for stream in streams:
        if isinstance(stream, StreamEncoder):
            stream.close()
            stream.close()
    if isinstance(streams[0], TempoStream):
        streams.clear()
    assert (_of_this_process("task"), _of_this_process("fd")) <= before


@pytest.mark.parametrize("whole", [True, False], ids=["file", "stream"])
@pytest.mark.parametrize("kind", sorted(set(FORMATS) - {"pcm"}))
@pytest.mark.parametrize("consent", ["", "Anna Müller allowed it", "安娜同意了"])
def test_files_are_marked_as_synthetic(kind: str, whole: bool, consent: str) -> None:
    samples, comment = tone(0.5), mark_of(consent)
    if whole:
        content = encode_audio(samples, RATE, kind, comment)
    else:
        with StreamEncoder(kind, RATE, comment) as encoder:
            content = encoder.push(samples) + encoder.finish()
    with av.open(io.BytesIO(content)) as file:
        tags = {**file.metadata, **file.streams[0].metadata}
    assert comment in {value for name, value in tags.items() if name.lower() == "comment"}, tags
    assert abs(len(read_audio(io.BytesIO(content))) - len(samples)) < 0.15 * RATE
