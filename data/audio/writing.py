"""Samples to files and bytes: WAV, FLAC, MP3, Opus, AAC and bare PCM."""

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
    """Writes WAV or FLAC, by the suffix; the file appears whole or not at all.

    Args:
        path: ends in .wav or .flac.
        samples: [T] float, mono; what lies outside -1 to 1 is clipped.
        sample_rate: of the samples, in Hz.
        comment: for the file's tags.
        bits: of a sample, 16 or 24.

    Raises:
        InputError: another suffix, or samples that are not numbers.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    atomic_write(path, encode_audio(samples, sample_rate, _format_of(path), comment, bits))


def prepare_audio_file(path: Path) -> Path:
    """Proves that `write_audio` can write `path`, before any work is done.

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
        samples: [T] float, -1 to 1; what lies outside is clipped.
        sample_rate: in Hz. MP3, Opus and AAC know only some rates: others are resampled up.
        format: wav, flac, mp3, opus (in Ogg), aac (ADTS) or pcm (16-bit little-endian, bare).
        comment: for the file's tags; PCM has none.
        bits: of a sample of WAV and FLAC, 16 or 24; the other formats know no other.

    Raises:
        InputError: an unknown format, or samples that are not numbers.
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
