"""Sentence patterns by dialogue act.

`patterns/<language>/*.txt` has one pattern per line under headings such as `= ask where`. Words in
braces are slots: things, people and places of the topic, names, numbers, dates.
"""

from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "patterns"


@cache
def patterns(language: str) -> dict[str, tuple[str, ...]]:
    """The patterns of a language (`en` or `zh`) by act, in the order of the files."""
    found: dict[str, list[str]] = {}
    for path in sorted((_FOLDER / language).glob("*.txt")):
        act = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("="):
                act = line[1:].strip()
            elif line.strip():
                found.setdefault(act, []).append(line.strip())
    return {act: tuple(lines) for act, lines in found.items()}


@cache
def acts(language: str, kind: str) -> tuple[str, ...]:
    """The acts of a kind, such as all that begin with `ask`."""
    return tuple(act for act in patterns(language) if act.split()[0] == kind)
