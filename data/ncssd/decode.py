"""Stage 1: decodes any media file to a working copy, 24 kHz mono.

Later stages read time ranges of the copy, in which seeking is exact, unlike in MP3 or Matroska.
Decoding streams, in the memory of one block. If a file has one speaker per channel (`channels`),
the copy keeps both channels.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE
from data.audio.media import Media, open_media
from data.audio.preparation import Correction, Survey, working_sound
from data.errors import InputError, OutputError
from data.files import atomic_path
from data.ncssd.channels import Dominance, write_channels
from data.ncssd.stage import Context
from data.ncssd.store import Row
from data.ncssd.truncation import announced_seconds, missing_end

log = logging.getLogger(__name__)
VERSION = 5
MIN_SECONDS = 1.0
_CLIPPED = 0.999


def run(row: Row, context: Context, key: str) -> list[Row]:
    """`{"sha256"}` to `{"sha256", "audio", "duration", "container", "codec", ...}`.

    Raises:
        InputError: the file has no usable audio, with the reason.
    """
    path = context.sources[row["sha256"]]
    copy = context.store.path("decode", key, ".wav")
    copy.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(copy) as partial:
        facts = _decode(path, partial)
        _check(facts, context.config.decode.max_clipped)
        divided = facts.pop("speaker_channels")
        if end := missing_end(path, facts):
            facts.setdefault("damaged", f"it ends early: {end}")
        if "damaged" in facts and not context.config.decode.keep_damaged:
            raise InputError(
                f"{facts['damaged']}; replace it by an intact copy, or set decode.keep_damaged to "
                f"true in a --config to use its {facts['duration']:.1f} s"
            )
    row = {**row, **facts, "audio": context.store.relative(copy)}
    if divided and context.config.decode.channels == "auto":
        correction = Correction(None, facts.get("highpass", False), _gain(facts))
        row |= {"speaker_channels": True, **write_channels(path, correction, copy)}
        log.info("%s has one speaker per channel", path.name)
    return [row]


def _gain(facts: Row) -> float:
    return 10 ** (facts.get("gain_db", 0.0) / 20)


class _Survey(Survey):
    """Also detects files with one speaker per channel."""

    def __init__(self, media: Media, correction: Correction) -> None:
        super().__init__(media, SAMPLE_RATE, correction)
        self._rate = media.rate
        self._dominance: Dominance | None = None

    def hear_source(self, block: np.ndarray, mono: np.ndarray) -> None:
        super().hear_source(block, mono)
        if block.shape[0] == 2:
            self._dominance = self._dominance or Dominance(self._rate or SAMPLE_RATE)
            self._dominance.push(block)

    @property
    def speaker_channels(self) -> bool:
        return self._dominance is not None and self._dominance.one_speaker_per_channel


def _decode(path: Path, partial: Path) -> Row:
    """Writes the copy, and rewrites it in the rare case that the audio needs a correction."""
    correction = Correction()
    while True:
        facts, needed = _write_copy(path, partial, correction)
        if needed == correction:
            if correction.facts:
                log.info("%s: %s", path.name, correction)
            return {**facts, **correction.facts}
        correction = needed


def _write_copy(path: Path, partial: Path, correction: Correction) -> tuple[Row, Correction]:
    """Decodes, resamples, corrects and writes; returns properties of the audio and the correction
    that it needs."""
    total, clipped, peak, energy = 0, 0, 0.0, 0.0
    with (
        open_media(path, "it") as media,
        _write_errors(partial),
        soundfile.SoundFile(
            partial, "w", SAMPLE_RATE, channels=1, format="RF64", subtype="PCM_24"
        ) as file,
    ):
        facts: Row = {
            "container": media.container,
            "codec": media.codec,
            "announced": round(announced_seconds(media.file, media.stream), 3),
        }
        survey = _Survey(media, correction)
        for source, block in working_sound(media, SAMPLE_RATE, correction, survey):
            size = np.abs(block)
            clipped += int((np.abs(source) >= _CLIPPED * correction.full_scale).sum())
            peak = max(peak, float(size.max(initial=0.0)))
            energy += float((block.astype(np.float64) ** 2).sum())
            total += block.shape[0]
            file.write(np.clip(block, -1.0, 1.0))
        facts |= {"rate": media.rate, "channels": media.channels, "bits": media.bits}
        if media.damaged:
            facts["damaged"] = media.damaged
    facts["speaker_channels"] = correction.channel is None and survey.speaker_channels
    facts["duration"] = round(total / SAMPLE_RATE, 4)
    facts["clipped"] = round(clipped / max(total, 1), 6)
    facts["peak"] = round(peak, 5)
    facts["rms"] = round((energy / max(total, 1)) ** 0.5, 6)
    return facts, survey.correction()


@contextlib.contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Turns libsndfile's write errors, which give no cause, into OutputError."""
    try:
        yield
    except soundfile.LibsndfileError as error:
        raise OutputError(
            f"cannot write the working copy {path} ({error}); check whether the disk is full"
        ) from error


def _check(facts: Row, max_clipped: float) -> None:
    if facts["duration"] == 0:
        raise InputError("it has no audio; nothing was decoded")
    if facts["duration"] < MIN_SECONDS:
        raise InputError(f"it lasts {facts['duration']:.2f} s; a recording of over 15 s is needed")
    if facts["peak"] < 1e-4:
        raise InputError("it is silent throughout; check how it was recorded")
    if facts["clipped"] > max_clipped:
        raise InputError(
            f"{100 * facts['clipped']:.1f} % of it is clipped, at most {100 * max_clipped:g} % is "
            "accepted; record it at a lower level, or raise --max-clipped-file"
        )
