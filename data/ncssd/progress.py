"""Progress bars of a build."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from data.ncssd.engine import QUARANTINE
from data.ncssd.pipeline import Watcher
from data.ncssd.stage import Stage
from data.ncssd.store import Row, seconds_of


class Bars(Watcher):
    """One bar per stage, with the time left and the counts of kept and dropped rows by reason.

    Args:
        quiet: whether to show nothing.
        announced: the length of each source in seconds by its SHA-256, as far as it is known before
            it is decoded.
    """

    def __init__(self, quiet: bool = False, announced: Mapping[str, float] | None = None) -> None:
        self._announced = announced or {}
        self._progress = Progress(
            TextColumn("{task.description:>10}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[counts]}"),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._task: TaskID | None = None
        self._kept = 0
        self._hours = _Hours()
        self._dropped: Counter[str] = Counter()

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def stage(self, stage: Stage, rows: list[Row]) -> None:
        self._kept = 0
        self._hours = _Hours(left=sum(map(self._length, rows)))
        self._dropped = Counter()
        self._task = self._progress.add_task(stage.name, total=len(rows), counts="")

    def row(self, row: Row, made: list[Row]) -> None:
        self._hours.add(row, made, self._length(row))
        for one in made:
            if "dropped" in one:
                quarantined = one["dropped"].startswith(QUARANTINE)
                self._dropped["quarantine" if quarantined else one["dropped"]] += 1
            else:
                self._kept += 1
        parts = [
            str(self._hours),
            f"{self._kept} kept",
            *(f"{n} {why}" for why, n in self._dropped.most_common(3)),
        ]
        if self._task is not None:
            self._progress.update(self._task, advance=1, counts=", ".join(parts))

    def _length(self, row: Row) -> float:
        return seconds_of(row) or self._announced.get(row.get("sha256", ""), 0.0)


@dataclass
class _Hours:
    """Seconds of audio that a stage has processed, kept, and left to process."""

    done: float = 0.0
    kept: float = 0.0
    left: float = 0.0

    def add(self, row: Row, made: list[Row], announced: float = 0.0) -> None:
        """Counts a row and its results; a file may announce its length before it is decoded."""
        expected = seconds_of(row) or announced
        self.done += expected or sum(map(seconds_of, made))
        self.kept += sum(seconds_of(one) for one in made if "dropped" not in one)
        self.left = max(0.0, self.left - expected)

    def __str__(self) -> str:
        left = f", {self.left / 3600:.1f} left" if self.left else ""
        return f"{self.done / 3600:.1f} h done, {self.kept / 3600:.1f} kept{left}"
