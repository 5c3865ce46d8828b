"""Figures per language and for trained and held-out voices separately."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from data.languages import LANGUAGE_NAMES
from models.evaluation.figures import Figure

_VOICES = {True: "held-out voices", False: "trained voices", None: "recordings"}
_ORDER = (False, True, None)


class Placed(Protocol):
    """Anything that belongs to a stratum; `held_out` is None for non-synthetic voices."""

    @property
    def language(self) -> str: ...

    @property
    def held_out(self) -> bool | None: ...


def strata(items: Sequence[Placed]) -> dict[str, list[int]]:
    """Indices of the items in each stratum (language and kind of voice), by its name."""
    found: dict[tuple, list[int]] = {}
    for place, item in enumerate(items):
        found.setdefault((item.language, _ORDER.index(item.held_out)), []).append(place)
    return {
        f"{LANGUAGE_NAMES[language]}, {_VOICES[_ORDER[kind]]}": found[language, kind]
        for language, kind in sorted(found)
    }


def by_stratum(
    items: Sequence[Placed], measure: Callable[[list[int]], list[Figure]]
) -> list[Figure]:  # fmt: skip
    """Figures of `measure` for each stratum's items, given by index.

    With a single stratum, figures keep their names.
    """
    found = strata(items)
    if len(found) == 1:
        return measure(*found.values())
    return [
        replace(figure, key=f"{figure.key}_{_mark(name)}", label=f"{figure.label}; {name}")
        for name, places in found.items()
        for figure in measure(places)
    ]


def _mark(name: str) -> str:
    """A key suffix: `en_held_out` for "English, held-out voices"."""
    language, kind = name.split(", ")
    code = next(code for code, known in LANGUAGE_NAMES.items() if known == language)
    return f"{code}_{kind.removesuffix(' voices').replace('-', '_')}"
