"""The door for sound: any media file or stream to float32 mono at one rate, and back.

Inside the program sound is float32, mono, -1 to 1, 24,000 Hz. It is resampled once, here.
"""

import io
import os
import tempfile
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import soundfile
import soxr

from data.errors import InputError

SAMPLE_RATE = 24_000
FORMATS = ("wav", "flac", "mp3", "opus", "aac", "pcm")
_LOSSY = {"mp3": ("mp3", "libmp3lame"), "opus": ("ogg", "libopus"), "aac": ("adts", "aac")}
_LOSSY_RATES = {
    "mp3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "opus": (8_000, 12_000, 16_000, 24_000, 48_000),
    "aac": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
}


def read_audio(
    path: str | Path | BinaryIO,
    sample_rate: int = SAMPLE_RATE,
    *,
    max_seconds: float | None = None,
) -> np.ndarray:
    """Reads the sound of any media file that FFmpeg or libsndfile can decode.

    Args:
        path: a file (WAV, FLAC, MP3, OGG, MP4, MKV, ...) or an open binary stream that can seek.
        sample_rate: of the result, in Hz.
        max_seconds: the longest sound that is accepted, in seconds; None takes any.

    Returns:
        Samples [T], float32, mono (the mean of the channels), -1 to 1.

    Raises:
        InputError: no such file, nothing in it, no sound in it, damaged, NaN, or too long.
    """
    name = _name(path)
    if isinstance(path, (str, Path)):
        _check_file(Path(path))
    elif _stream_is_empty(path):
        raise InputError(f"{name} holds 0 bytes; give an audio file with sound in it")
    samples, from_hz = _decode(path, name, max_seconds)
    if samples.shape[0] == 0:
        raise InputError(f"{name} holds no samples; give an audio file with sound in it")
    _check_length(samples.shape[0], from_hz, max_seconds, name)
    if not np.isfinite(samples).all():
        raise InputError(
            f"{name} holds samples that are not numbers (NaN or infinite); export it again"
        )
    return resample(samples, from_hz, sample_rate)


def write_audio(path: str | Path, samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """Writes 16-bit WAV or FLAC, by the suffix; the file appears whole or not at all.

    Args:
        path: ends in .wav or .flac.
        samples: [T] float, mono; what lies outside -1 to 1 is clipped.
        sample_rate: of the samples, in Hz.

    Raises:
        InputError: another suffix, no such folder, or samples that are not numbers.
    """
    path = Path(path)
    format = path.suffix.lower().lstrip(".")
    if format not in ("wav", "flac"):
        raise InputError(f"cannot write {path}: its name must end in .wav or .flac")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {path.parent} does not exist; make it")
    content = encode_audio(samples, sample_rate, format)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def encode_audio(samples: np.ndarray, sample_rate: int, format: str) -> bytes:
    """Encodes mono samples.

    Args:
        samples: [T] float, -1 to 1; what lies outside is clipped.
        sample_rate: in Hz. MP3, Opus and AAC know only some rates: others are resampled up.
        format: wav, flac, mp3, opus (in Ogg), aac (ADTS) or pcm (16-bit little-endian, bare).

    Raises:
        InputError: an unknown format, or samples that are not numbers.
    """
    if format not in FORMATS:
        raise InputError(f"unknown audio format {format!r}; choose one of {', '.join(FORMATS)}")
    pcm = _to_int16(samples)
    if format == "pcm":
        return pcm.astype("<i2").tobytes()
    if format in ("wav", "flac"):
        buffer = io.BytesIO()
        soundfile.write(buffer, pcm, sample_rate, format=format.upper(), subtype="PCM_16")
        return buffer.getvalue()
    rates = _LOSSY_RATES[format]
    if sample_rate not in rates:
        higher = min((rate for rate in rates if rate > sample_rate), default=max(rates))
        pcm = _to_int16(resample(pcm.astype(np.float32) / 32768, sample_rate, higher))
        sample_rate = higher
    return _encode_lossy(pcm, sample_rate, *_LOSSY[format])


def resample(samples: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """Resamples [T] samples by soxr (high quality, linear phase); float32 out."""
    samples = np.asarray(samples, dtype=np.float32)
    if from_hz == to_hz or samples.shape[0] == 0:
        return samples
    return soxr.resample(samples, from_hz, to_hz).astype(np.float32, copy=False)


class StreamResampler:
    """Resamples sound that arrives in pieces; all pieces joined equal the whole, resampled.

    Mono float32 [n] in, float32 [m] out. soxr holds back a few milliseconds until `flush`.
    """

    def __init__(self, from_hz: float, to_hz: float) -> None:
        self._same = from_hz == to_hz
        self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Takes the next samples [n] and returns what is ready [m]; m may be 0."""
        samples = np.ascontiguousarray(samples, dtype=np.float32)
        return samples if self._same else self._stream.resample_chunk(samples)

    def flush(self) -> np.ndarray:
        """Returns what was held back; afterwards the resampler starts afresh."""
        empty = np.zeros(0, np.float32)
        if self._same:
            return empty
        rest = self._stream.resample_chunk(empty, last=True)
        self._stream.clear()
        return rest


def _name(path: str | Path | BinaryIO) -> str:
    if isinstance(path, (str, Path)):
        return str(path)
    return str(getattr(path, "name", "") or "the audio stream")


def _check_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist; give the path of an audio file")
    if not path.is_file():
        raise InputError(f"{path} is not a file; give the path of an audio file")
    if path.stat().st_size == 0:
        raise InputError(f"{path} holds 0 bytes; give an audio file with sound in it")


def _stream_is_empty(stream: BinaryIO) -> bool:
    start = stream.tell()
    empty = not stream.read(1)
    stream.seek(start)
    return empty


def _check_length(
    num_samples: int, sample_rate: float, max_seconds: float | None, name: str
) -> None:
    if max_seconds is not None and num_samples > max_seconds * sample_rate:
        raise InputError(
            f"{name} is longer than {max_seconds:g} seconds, the most that is used here; cut it"
        )


def _decode(
    path: str | Path | BinaryIO, name: str, max_seconds: float | None
) -> tuple[np.ndarray, int]:
    """libsndfile first (fast, exact), FFmpeg for all it does not know."""
    start = 0 if isinstance(path, (str, Path)) else path.tell()
    try:
        with soundfile.SoundFile(path) as file:
            _check_length(max(file.frames, 0), file.samplerate, max_seconds, name)
            samples = file.read(dtype="float32", always_2d=True)
            return samples.mean(axis=1), file.samplerate
    except (soundfile.LibsndfileError, TypeError):
        # TypeError: a .raw name, of which libsndfile wants to be told the format
        if not isinstance(path, (str, Path)):
            path.seek(start)
    return _decode_container(path, name, max_seconds)


def _decode_container(
    path: str | Path | BinaryIO, name: str, max_seconds: float | None
) -> tuple[np.ndarray, int]:
    source = str(path) if isinstance(path, (str, Path)) else path
    pieces, total, rate = [], 0, 0
    try:
        with av.open(source) as container:
            if not container.streams.audio:
                raise InputError(f"{name} has no audio stream; give a file with sound in it")
            stream = container.streams.audio[0]
            rate = int(stream.rate or 0)
            planar = av.AudioResampler(format="fltp", rate=rate or None)
            for frame in container.decode(stream):
                for part in planar.resample(frame):
                    piece = part.to_ndarray().mean(axis=0)
                    rate = part.sample_rate
                    pieces.append(piece)
                    total += piece.shape[0]
                    _check_length(total, rate, max_seconds, name)
    except (av.FFmpegError, OSError) as error:
        if not pieces:
            raise InputError(
                f"{name} is not audio that can be read ({error.__class__.__name__}); "
                "give WAV, FLAC, MP3, OGG, MP4 or another media file"
            ) from error
        # a cut-off recording: what was decoded before the damage is still good
    if not pieces:
        raise InputError(f"{name} holds no sound; give a file with sound in it")
    return np.concatenate(pieces).astype(np.float32, copy=False), rate


def _to_int16(samples: np.ndarray) -> np.ndarray:
    samples = np.asarray(samples)
    if samples.dtype == np.int16:
        return samples
    if not np.isfinite(samples).all():
        raise InputError("the samples to write are not all numbers (NaN or infinite)")
    return np.clip(np.rint(samples * 32767.0), -32768, 32767).astype(np.int16)


def _encode_lossy(pcm: np.ndarray, sample_rate: int, container: str, codec: str) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=sample_rate)
        stream.codec_context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
        frame.sample_rate = sample_rate
        fifo = av.AudioResampler(
            format=stream.codec_context.format,
            layout="mono",
            rate=sample_rate,
            frame_size=stream.codec_context.frame_size or 0,
        )
        for part in [*fifo.resample(frame), *fifo.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return buffer.getvalue()
