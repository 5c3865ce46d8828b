"""Reading and writing audio, and rejected files."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from data.audio import (
    FORMATS,
    SAMPLE_RATE,
    StreamResampler,
    encode_audio,
    read_audio,
    resample,
    write_audio,
)
from data.errors import InputError, OutputError, RepError


def tone(seconds: float = 0.5, rate: int = SAMPLE_RATE, hz: float = 440.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def peak_hz(samples: np.ndarray, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / samples.shape[0])


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_round_trip_is_exact_to_16_bits(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write_audio(path, tone())
    read = read_audio(path)
    assert read.dtype == np.float32
    assert np.abs(read - tone()).max() < 2 / 32768
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no temporary file is left"


def test_overload_is_clipped_not_wrapped(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", 5 * tone())
    assert np.abs(read_audio(tmp_path / "a.wav")).max() > 0.99
    assert np.corrcoef(read_audio(tmp_path / "a.wav"), tone())[0, 1] > 0.9


def test_any_rate_and_channels_become_mono_at_24_khz(tmp_path: Path) -> None:
    stereo = np.stack([tone(rate=44_100), np.zeros(22_050, np.float32)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 44_100)
    read = read_audio(tmp_path / "a.wav")
    assert abs(read.shape[0] - SAMPLE_RATE // 2) <= 1
    assert abs(peak_hz(read, SAMPLE_RATE) - 440) < 3
    assert abs(np.abs(read).max() - 0.15) < 0.02, "the mean of the channels"


@pytest.mark.parametrize("format", [f for f in FORMATS if f != "pcm"])
def test_every_format_survives_a_round_trip(tmp_path: Path, format: str) -> None:
    path = tmp_path / f"a.{format}"
    path.write_bytes(encode_audio(tone(1.0), SAMPLE_RATE, format))
    for source in (path, io.BytesIO(path.read_bytes())):
        read = read_audio(source)
        assert abs(read.shape[0] / SAMPLE_RATE - 1.0) < 0.1
        assert abs(peak_hz(read[4_800:19_200], SAMPLE_RATE) - 440) < 3


def test_opus_at_an_unsupported_rate() -> None:
    content = encode_audio(tone(1.0, 22_050), 22_050, "opus")
    assert abs(peak_hz(read_audio(io.BytesIO(content)), SAMPLE_RATE) - 440) < 3


def test_pcm_has_no_header() -> None:
    content = encode_audio(np.array([0.0, 0.5, -1.0]), SAMPLE_RATE, "pcm")
    assert np.frombuffer(content, "<i2").tolist() == [0, 16384, -32767]


def test_the_audio_of_a_film_is_read(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as film:
        video = film.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = film.add_stream("pcm_s16le", rate=16_000, layout="mono")
        for _ in range(5):
            film.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        film.mux(video.encode(None))
        pcm = (tone(0.5, 16_000) * 32767).astype(np.int16)[None, :]
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
        frame.sample_rate = 16_000
        film.mux(audio.encode(frame))
        film.mux(audio.encode(None))
    assert abs(peak_hz(read_audio(path), SAMPLE_RATE) - 440) < 3


def test_a_film_without_audio_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as film:
        video = film.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        film.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        film.mux(video.encode(None))
    with pytest.raises(InputError, match="no audio stream"):
        read_audio(path)


def test_files_without_audio_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("This is a text and not a sound. " * 20)
    (tmp_path / "noise.raw").write_bytes(bytes(range(256)))
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    for name, words in {
        "missing.wav": "does not exist",
        ".": "not a file",
        "empty.wav": "0 bytes",
        "text.wav": "cannot be decoded",
        "noise.raw": "no audio stream|cannot be decoded",
        "none.wav": "no audio",
        "nan.wav": "not finite numbers",
    }.items():
        with pytest.raises(InputError, match=words):
            read_audio(tmp_path / name)
    with pytest.raises(InputError, match="0 bytes"):
        read_audio(io.BytesIO(b""))


def test_a_long_recording_is_rejected_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8_000, 1) as file:
        for _ in range(20):
            file.write(np.zeros(8_000 * 60, np.int16))
    with pytest.raises(InputError, match="longer than 600 seconds"):
        read_audio(path, max_seconds=600)
    assert read_audio(path, 8_000, max_seconds=1_200).shape[0] == 8_000 * 1_200


def test_a_truncated_recording_gives_the_rest(tmp_path: Path) -> None:
    content = encode_audio(tone(2.0), SAMPLE_RATE, "mp3")
    (tmp_path / "cut.mp3").write_bytes(content[: len(content) // 2])
    assert 0.5 < read_audio(tmp_path / "cut.mp3").shape[0] / SAMPLE_RATE < 1.5


def test_write_errors_give_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.wav or \.flac"):
        write_audio(tmp_path / "a.mp3", tone())
    with pytest.raises(OutputError, match="does not exist"):
        write_audio(tmp_path / "no" / "a.wav", tone())
    with pytest.raises(InputError, match="NaN"):
        write_audio(tmp_path / "a.wav", np.array([np.nan]))
    with pytest.raises(InputError, match="unknown audio format"):
        encode_audio(tone(), SAMPLE_RATE, "midi")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rates", [(16_000, 24_000), (48_000, 24_000), (24_000, 24_000)])
def test_streamed_resampling_equals_the_whole(rates: tuple[int, int]) -> None:
    sound = np.random.default_rng(0).standard_normal(5_003).astype(np.float32)
    stream = StreamResampler(*rates)
    pieces = [stream.push(sound[i : i + 317]) for i in range(0, 5_003, 317)]
    joined = np.concatenate([*pieces, stream.flush()])
    whole = resample(sound, *rates)
    assert abs(joined.shape[0] - whole.shape[0]) <= 1
    size = min(joined.shape[0], whole.shape[0])
    assert np.abs(joined[:size] - whole[:size]).max() < 1e-3


def test_a_flushed_resampler_starts_over() -> None:
    stream = StreamResampler(16_000, 24_000)
    first = np.concatenate([stream.push(tone(0.2, 16_000)), stream.flush()])
    second = np.concatenate([stream.push(tone(0.2, 16_000)), stream.flush()])
    assert np.array_equal(first, second)


def test_errors_form_one_hierarchy() -> None:
    assert issubclass(InputError, RepError)
    assert issubclass(InputError, ValueError)
