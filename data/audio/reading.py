"""Any media file or stream to float32 mono at one rate."""

from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import soundfile

from data.audio.resampling import SAMPLE_RATE, resample
from data.errors import InputError


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
