"""Stages of the build, and the context they run in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from data.audio import SAMPLE_RATE, resample
from data.ncssd.config import BuildConfig
from data.ncssd.store import Row, Store, hash_file


@dataclass
class Context:
    """State shared by all rows.

    Attributes:
        config: all settings.
        store: results and working copies.
        sources: path of each source by the SHA-256 of its content. Rows contain no paths, so that
            sources can be moved.
    """

    config: BuildConfig
    store: Store
    sources: dict[str, Path] = field(default_factory=dict)

    def read(
        self,
        audio: str,
        start: float,
        end: float,
        rate: int = SAMPLE_RATE,
        channel: int | None = None,
    ) -> np.ndarray:
        """Samples `[T]`, float32, of a working copy from `start` to `end` seconds.

        Args:
            audio: the copy's name in the store.
            rate: sample rate of the result in Hz.
            channel: a channel of a copy with one speaker per channel; None for the mix.
        """
        with soundfile.SoundFile(self.store.root / audio) as file:
            first = max(0, round(start * SAMPLE_RATE))
            last = min(file.frames, round(end * SAMPLE_RATE))
            file.seek(min(first, file.frames))
            samples = file.read(max(0, last - first), dtype="float32", always_2d=True)
        one = samples.mean(axis=1) if channel is None else samples[:, channel]
        return resample(one, SAMPLE_RATE, rate)

    def read_turn(
        self, row: Row, turn: Row, start: float, end: float, rate: int = SAMPLE_RATE
    ) -> np.ndarray:
        """Samples `[T]` of a turn or a range around it, from its separated audio or its speaker's
        channel if there is one."""
        if "separated" not in turn:
            return self.read(row["audio"], start, end, rate, turn.get("channel"))
        audio, first, begin, last = turn["separated"]
        zero = begin - first / SAMPLE_RATE
        return self.read(audio, max(start, begin) - zero, min(end, last) - zero, rate)


@dataclass(frozen=True)
class Stage:
    """A function from one row to rows, with the name and version under which results are stored.

    Rows with "dropped" (a reason) skip all later stages.
    """

    name: str
    version: int
    run: Callable[[Row, Context, str], list[Row]]
    files: tuple[Path, ...] = ()  # weights, part of the results' key

    def depends(self, config: BuildConfig) -> dict[str, Any]:
        """Everything that a result depends on besides its row and the stage's version."""
        return {
            **config.settings(self.name),
            "files": [hash_file(path) for path in self.files if path.is_file()],
        }


def drop(row: Row, reason: str, why: str = "") -> Row:
    """Marks a row as dropped, with a reason that the report counts and details in `why`."""
    return {**row, "dropped": reason, **({"why": why} if why else {})}


def under(name: str, value: float, limit: float, setting: str) -> str:
    """The details of a value below the limit in a setting."""
    return f"{name} {value:.2f}, at least {limit:g} is needed ({setting})"
