"""Where the builder keeps what it has done, so that a killed run goes on where it was.

A result is kept under the hash of all it depends on: the stage and its version, the stage's
configuration, and the row it was made from (which begins with the hash of the source's content).
It appears whole or not at all. Nothing is ever rewritten in place.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.files import atomic_write, clean_leftovers, folder_lock

Row = dict[str, Any]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, read as a stream."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical(value: Any) -> str:
    """One JSON text a value, whatever the order of its keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Writes a manifest: one JSON row a line."""
    atomic_write(path, "".join(canonical(row) + "\n" for row in rows))


def read_rows(path: Path) -> list[Row]:
    """Reads a manifest; none there is an empty one."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


class Store:
    """The results of all stages under one folder.

    `root/<stage>/<key>.json` holds the rows of one result; larger things (working copies of
    sound, arrays) lie beside it under the same key and are written before it.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def key(self, stage: str, version: int, settings: dict[str, Any], row: Row) -> str:
        """The name of a result: 32 hexadecimal digits."""
        text = canonical([stage, version, settings, row])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def path(self, stage: str, key: str, suffix: str = ".json") -> Path:
        return self.root / stage / f"{key}{suffix}"

    def relative(self, path: Path) -> str:
        """How a row names a file of this store; the same wherever the store lies."""
        return path.relative_to(self.root).as_posix()

    def load(self, stage: str, key: str) -> list[Row] | None:
        """The rows of a finished result, or None."""
        try:
            return json.loads(self.path(stage, key).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def save(self, stage: str, key: str, rows: list[Row]) -> None:
        path = self.path(stage, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, canonical(rows) + "\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Held by one build at a time; whoever holds it and is killed lets it go.

        Raises:
            InputError: another build holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with folder_lock(self.root, "another build"):
            yield

    def clean(self) -> None:
        """Removes what a killed run left half written."""
        for folder in (self.root.parent, self.root, *self.root.iterdir()):
            clean_leftovers(folder)
