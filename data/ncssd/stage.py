"""What a stage is, and what it is given."""

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
    """What is the same for all rows.

    Attributes:
        config: every setting.
        store: where results and working copies lie.
        sources: the path of each source by the SHA-256 of its content; no row names a path, so
            that moving the sources costs nothing.
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
        """Samples [T] float32 of a working copy, from `start` to `end` seconds.

        Args:
            channel: of a copy with a speaker a channel; None mixes them.
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
        """Samples [T] of a turn, or of some time around it: its speaker's channel alone if it has
        one, its speaker without the other where they were separated."""
        if "separated" not in turn:
            return self.read(row["audio"], start, end, rate, turn.get("channel"))
        audio, first, begin, last = turn["separated"]
        zero = begin - first / SAMPLE_RATE
        return self.read(audio, max(start, begin) - zero, min(end, last) - zero, rate)


@dataclass(frozen=True)
class Stage:
    """A function from one row to rows, with the name and version its results are kept under.

    A row with "dropped" (a reason) is finished: later stages leave it alone.
    """

    name: str
    version: int
    run: Callable[[Row, Context, str], list[Row]]
    files: tuple[Path, ...] = ()  # weights, whose content the results depend on

    def depends(self, config: BuildConfig) -> dict[str, Any]:
        """All that a result depends on beside its row and the stage's version."""
        return {
            **config.settings(self.name),
            "files": [hash_file(path) for path in self.files if path.is_file()],
        }


def drop(row: Row, reason: str, why: str = "") -> Row:
    """The row, marked as left out for a reason that the report counts; `why` has its figures."""
    return {**row, "dropped": reason, **({"why": why} if why else {})}


def under(name: str, value: float, limit: float, setting: str) -> str:
    """Says that a figure is below what a setting asks for."""
    return f"{name} {value:.2f}, at least {limit:g} is needed ({setting})"
