"""Encodes samples to files and bytes: WAV, FLAC, MP3, Opus, AAC and raw PCM."""

import io
from pathlib import Path

import numpy as np
import soundfile

from data.audio.encoding import FORMATS, StreamEncoder
from data.audio.pcm import to_bytes, to_float, to_int16
from data.audio.resampling import SAMPLE_RATE, resample
from data.errors import InputError
from data.files import atomic_write, prepare_file

_LOSSY_RATES = {
    "mp3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "opus": (8_000, 12_000, 16_000, 24_000, 48_000),
    "aac": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
}


def write_audio(
    path: str | Path,
    samples: np.ndarray,
    sample_rate: int = SAMPLE_RATE,
    comment: str = "",
    bits: int = 16,
) -> None:
    """Writes WAV or FLAC, chosen by the suffix, atomically.

    Args:
        path: ends in .wav or .flac.
        samples: [T] float, mono; clipped to -1 to 1.
        sample_rate: Hz.
        comment: for the file's tags.
        bits: bit depth, 16 or 24.

    Raises:
        InputError: another suffix, or samples that are not finite.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    atomic_write(path, encode_audio(samples, sample_rate, _format_of(path), comment, bits))


def prepare_audio_file(path: Path) -> Path:
    """Checks, before any work, that `write_audio` can write `path`.

    Raises:
        InputError: another suffix than .wav or .flac.
        OutputError: the file cannot be written.
    """
    _format_of(path)
    return prepare_file(path)


def _format_of(path: Path) -> str:
    format = path.suffix.lower().lstrip(".")
    if format not in ("wav", "flac"):
        raise InputError(f"cannot write {path}: its name must end in .wav or .flac")
    return format


def encode_audio(
    samples: np.ndarray, sample_rate: int, format: str, comment: str = "", bits: int = 16
) -> bytes:
    """Encodes mono samples.

    Args:
        samples: [T] float; clipped to -1 to 1.
        sample_rate: Hz. Rates that MP3, Opus or AAC do not support are resampled up.
        format: wav, flac, mp3, opus (in Ogg), aac (ADTS) or pcm (raw 16-bit little-endian).
        comment: for the file's tags; PCM has none.
        bits: bit depth of WAV and FLAC, 16 or 24; the other formats have only one.

    Raises:
        InputError: an unknown format, or samples that are not finite.
    """
    if format not in FORMATS:
        raise InputError(f"unknown audio format {format!r}; choose one of {', '.join(FORMATS)}")
    if format == "pcm":
        return to_bytes(samples)
    pcm = to_int16(samples)
    if format in ("wav", "flac"):
        buffer = io.BytesIO()
        kind = {"format": format.upper(), "subtype": f"PCM_{bits}", "channels": 1}
        with soundfile.SoundFile(buffer, "w", sample_rate, **kind) as file:
            if comment:
                file.comment = comment
            file.write(pcm if bits == 16 else np.clip(samples, -1.0, 1.0))
        return buffer.getvalue()
    rates = _LOSSY_RATES[format]
    if sample_rate not in rates:
        higher = min((rate for rate in rates if rate > sample_rate), default=max(rates))
        pcm = to_int16(resample(to_float(pcm), sample_rate, higher))
        sample_rate = higher
    with StreamEncoder(format, sample_rate, comment) as encoder:
        return encoder.push(pcm) + encoder.finish()
