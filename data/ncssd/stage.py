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

    def read(self, audio: str, start: float, end: float, rate: int = SAMPLE_RATE) -> np.ndarray:
        """Samples [T] float32 of a working copy, from `start` to `end` seconds."""
        with soundfile.SoundFile(self.store.root / audio) as file:
            first = max(0, round(start * SAMPLE_RATE))
            last = min(file.frames, round(end * SAMPLE_RATE))
            file.seek(min(first, file.frames))
            samples = file.read(max(0, last - first), dtype="float32")
        return resample(samples, SAMPLE_RATE, rate)


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
        return {**config.settings(self.name), "files": [hash_file(path) for path in self.files]}


def drop(row: Row, reason: str) -> Row:
    """The row, marked as left out for a reason that the report counts."""
    return {**row, "dropped": reason}
