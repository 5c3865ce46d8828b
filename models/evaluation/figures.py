"""Figures with intervals, teacher values and bars; tables and JSON."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Bar:
    """Range that a figure must reach, in its unit: at least `low`, at most `high`, or both."""

    low: float | None = None
    high: float | None = None

    @property
    def limits(self) -> list[float]:
        return [limit for limit in (self.low, self.high) if limit is not None]

    def met(self, value: float) -> bool:
        # A missing measurement does not meet the bar.
        above = self.low is None or value >= self.low
        below = self.high is None or value <= self.high
        return bool(np.isfinite(value) and above and below)

    def __str__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return f"≥ {self.low:g}" if self.high is None else f"≤ {self.high:g}"


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        key: name in JSON and in the table of bars.
        label: name for readers.
        value: in `unit`; NaN if there was nothing to measure, as `note` explains.
        low, high: bounds of the 95 % bootstrap interval.
        num: number of measurements.
        unit: of value, low, high, teacher and the bars.
        teacher: the same figure for the teacher or the recording.
        bar, goal: what a bundle must reach, and what it aims at.
        note: how it was measured, if not obvious.
    """

    key: str
    label: str
    value: float
    low: float
    high: float
    num: int
    unit: str = ""
    teacher: float | None = None
    bar: Bar | None = None
    goal: Bar | None = None
    note: str = ""

    @property
    def meets_bar(self) -> bool | None:
        return None if self.bar is None else self.bar.met(self.value)

    @property
    def meets_goal(self) -> bool | None:
        return None if self.goal is None else self.goal.met(self.value)


@dataclass
class Table:
    """A table of formatted cells."""

    title: str
    columns: list[str]
    rows: list[list[str]]


@dataclass
class Example:
    """An audio example: a text, and sounds `[T]` at 24 kHz by name."""

    label: str
    text: str
    sounds: dict[str, np.ndarray]


@dataclass
class Result:
    """Results of one command."""

    name: str
    title: str
    settings: dict[str, Any]
    figures: list[Figure]
    tables: list[Table] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Everything but the audio, JSON-ready."""
        return {
            "name": self.name,
            "title": self.title,
            "settings": self.settings,
            "seconds": round(self.seconds, 1),
            "figures": [figure_as_json(figure) for figure in self.figures],
            "tables": [asdict(table) for table in self.tables],
        }


def figure_as_json(figure: Figure) -> dict[str, Any]:
    """A figure as JSON values; NaN becomes null."""
    values = asdict(figure)
    for key in ("value", "low", "high", "teacher"):
        number = values[key]
        values[key] = None if number is None or not np.isfinite(number) else round(number, 5)
    values["meets_bar"], values["meets_goal"] = figure.meets_bar, figure.meets_goal
    return values


def figure_from_json(values: dict[str, Any]) -> Figure:
    """Inverse of `figure_as_json`."""
    known = {k: v for k, v in values.items() if k not in ("meets_bar", "meets_goal")}
    for key in ("bar", "goal"):
        known[key] = None if known[key] is None else Bar(**known[key])
    for key in ("value", "low", "high"):
        known[key] = float("nan") if known[key] is None else known[key]
    return Figure(**known)


def ratio(
    key: str,
    label: str,
    numerators: ArrayLike,
    denominators: ArrayLike | None = None,
    groups: Sequence[object] | None = None,
    **rest: Any,
) -> Figure:
    """Ratio of sums (a mean without denominators) with a bootstrap interval.

    Args:
        key, label: see `Figure`.
        numerators: one value per measurement; `scale` in `rest` multiplies the ratio.
        denominators: one per measurement; default: ones.
        groups: measurements of a group (one sentence in several voices) are resampled together.
        rest: further fields of the figure, and `scale`.
    """
    scale = rest.pop("scale", 1.0)
    above = np.asarray(numerators, dtype=float)
    below = np.ones_like(above) if denominators is None else np.asarray(denominators, dtype=float)
    if len(above) == 0 or below.sum() == 0:
        return nothing(key, label, rest.pop("note", "") or "nothing to measure", **rest)
    names = range(len(above)) if groups is None else groups
    index = {name: i for i, name in enumerate(dict.fromkeys(names))}
    which = np.array([index[name] for name in names])
    sums = np.zeros((len(index), 2))
    np.add.at(sums, which, np.stack([above, below], axis=1))
    drawn = sums[_draws(len(sums))].sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        made = scale * drawn[:, 0] / drawn[:, 1]
    low, high = _bounds(made)
    value = float(scale * above.sum() / below.sum())
    return Figure(key, label, value, low, high, len(above), **rest)


def quantile(key: str, label: str, values: Sequence[float], share: float, **rest: Any) -> Figure:
    """A quantile with a bootstrap interval."""
    array = np.asarray(values, dtype=float)
    if len(array) == 0:
        return nothing(key, label, rest.pop("note", "") or "nothing to measure", **rest)
    made = np.quantile(array[_draws(len(array))], share, axis=1)
    value = float(np.quantile(array, share))
    return Figure(key, label, value, *_bounds(made), len(array), **rest)


def nothing(key: str, label: str, note: str, **rest: Any) -> Figure:
    """A figure that could not be measured, with the reason."""
    nan = float("nan")
    return Figure(key, label, nan, nan, nan, 0, note=note, **rest)


def _draws(num: int) -> np.ndarray:
    # Fixed seed: a repeated evaluation gives the same interval.
    return np.random.default_rng(0).integers(0, num, (RESAMPLES, num))


def _bounds(made: np.ndarray) -> tuple[float, float]:
    finite = made[np.isfinite(made)]
    if len(finite) == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def shown(value: float | None) -> str:
    """Formats a number for readers; a dash if it is missing."""
    if value is None or not np.isfinite(value):
        return "–"
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 20 else 2 if size >= 1.5 else 3
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def figure_table(title: str, figures: list[Figure]) -> Table:
    """A table of figures with their bars."""
    words: Callable[[bool | None], str] = lambda met: {None: "", True: "yes", False: "no"}[met]  # noqa: E731
    rows = [
        [
            figure.label + (f" ({figure.unit})" if figure.unit else ""),
            shown(figure.value),
            f"{shown(figure.low)} to {shown(figure.high)}" if figure.num else figure.note,
            shown(figure.teacher) if figure.teacher is not None else "",
            str(figure.bar or ""),
            words(figure.meets_bar),
            str(figure.goal or ""),
            words(figure.meets_goal),
            str(figure.num),
        ]
        for figure in figures
    ]
    columns = ["figure", "value", "95 % interval", "teacher", "bar", "met", "goal", "met", "n"]
    return Table(title, columns, rows)


def as_markdown(table: Table) -> str:
    """A table as Markdown."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in [table.columns, *table.rows]]
    lines = ["| " + " | ".join(row) + " |" for row in escaped]
    lines.insert(1, "|" + " --- |" * len(table.columns))
    return "\n".join([f"**{table.title}**", "", *lines, ""])


def as_text(table: Table) -> str:
    """A table as aligned text for a terminal."""
    cells = [table.columns, *table.rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join([table.title, *(line.rstrip() for line in lines), ""])
