"""Stage 1: any media file to a working copy, 24 kHz mono 16-bit, decoded as a stream.

The later stages read time ranges of the copy: seeking in it is exact, which in MP3 or Matroska it
is not. A recording of any length takes the memory of one block.
"""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import soundfile

from data.audio import SAMPLE_RATE, StreamResampler
from data.errors import InputError
from data.files import atomic_path
from data.ncssd.stage import Context
from data.ncssd.store import Row
from data.ncssd.truncation import announced_seconds, missing_end

VERSION = 3
MIN_SECONDS = 1.0
_BLOCK = 1 << 18
_CLIPPED = 0.999


def run(row: Row, context: Context, key: str) -> list[Row]:
    """`{"sha256"}` to `{"sha256", "audio", "duration", "container", "codec", ...}`.

    Raises:
        InputError: the file holds no sound that can be used, with the reason.
    """
    path = context.sources[row["sha256"]]
    copy = context.store.path("decode", key, ".wav")
    copy.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(copy) as partial:
        facts = _write_copy(path, partial)
        _check(facts)
        if end := missing_end(path, facts):
            facts.setdefault("damaged", f"it ends early: {end}")
        if "damaged" in facts and not context.config.decode.keep_damaged:
            raise InputError(
                f"{facts['damaged']}; get it whole, or set decode.keep_damaged to true in a "
                f"--config to use its {facts['duration']:.1f} s"
            )
    return [{**row, **facts, "audio": context.store.relative(copy)}]


def _write_copy(path: Path, partial: Path) -> Row:
    """Decodes, resamples, writes; returns what was seen on the way."""
    facts: Row = {}
    total, clipped, peak, energy = 0, 0, 0.0, 0.0
    with soundfile.SoundFile(
        partial, "w", SAMPLE_RATE, channels=1, format="RF64", subtype="PCM_16"
    ) as file:
        for block in _resampled(path, facts):
            if not np.isfinite(block).all():
                raise InputError("it holds samples that are not numbers; export it again")
            size = np.abs(block)
            clipped += int((size >= _CLIPPED).sum())
            peak = max(peak, float(size.max(initial=0.0)))
            energy += float((block.astype(np.float64) ** 2).sum())
            total += block.shape[0]
            file.write(np.clip(block, -1.0, 1.0))
    facts["duration"] = round(total / SAMPLE_RATE, 4)
    facts["clipped"] = round(clipped / max(total, 1), 6)
    facts["peak"] = round(peak, 5)
    facts["rms"] = round((energy / max(total, 1)) ** 0.5, 6)
    return facts


def _check(facts: Row) -> None:
    if facts["duration"] == 0:
        raise InputError("it holds no sound; nothing was decoded")
    if facts["duration"] < MIN_SECONDS:
        raise InputError(f"it lasts {facts['duration']:.2f} s; a recording of over 15 s is needed")
    if facts["peak"] < 1e-4:
        raise InputError("it is silent throughout; check how it was recorded")
    if facts["clipped"] > 0.05:
        share = 100 * facts["clipped"]
        raise InputError(f"{share:.0f} % of it is clipped; record it at a lower level")


def _resampled(path: Path, facts: Row) -> Iterator[np.ndarray]:
    resampler: StreamResampler | None = None
    for block in _blocks(path, facts):
        if resampler is None:
            resampler = StreamResampler(facts["rate"], SAMPLE_RATE)
        yield resampler.push(block)
    if resampler is not None:
        yield resampler.flush()


def _blocks(path: Path, facts: Row) -> Iterator[np.ndarray]:
    """Mono blocks at the source's rate; a damage ends them, and `facts` says so."""
    pieces: list[np.ndarray] = []
    held = 0
    for piece in _frames(path, facts):
        pieces.append(piece)
        held += piece.shape[0]
        if held >= _BLOCK:
            yield np.concatenate(pieces)
            pieces, held = [], 0
    if pieces:
        yield np.concatenate(pieces)


def _frames(path: Path, facts: Row) -> Iterator[np.ndarray]:
    if path.stat().st_size == 0:
        raise InputError("it holds 0 bytes")
    seen = False
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError("it has no audio stream")
            stream = container.streams.audio[0]
            facts.update(
                container=container.format.name,
                codec=stream.codec_context.name,
                rate=int(stream.rate or 0),
                channels=int(stream.codec_context.channels or 0),
                announced=round(announced_seconds(container, stream), 3),
            )
            planar = av.AudioResampler(format="fltp", rate=facts["rate"] or None)
            for frame in container.decode(stream):
                for part in planar.resample(frame):
                    seen = True
                    facts["rate"] = part.sample_rate
                    yield part.to_ndarray().mean(axis=0)
    except (av.FFmpegError, OSError, EOFError) as error:
        if not seen:
            reason = error.__class__.__name__
            raise InputError(f"it is not media that can be decoded ({reason})") from error
        facts["damaged"] = f"it is damaged ({error.__class__.__name__} after some sound)"
