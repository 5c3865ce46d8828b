"""The store of stage results, from which a killed run resumes.

A result's key hashes everything it depends on: the stage, its version and configuration, and the
input row (which contains the hash of the source's content). Results are written atomically and
never modified.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.files import atomic_write, clean_leftovers, folder_lock

Row = dict[str, Any]


def seconds_of(row: Row) -> float:
    """The length of a scene or dialogue, or of a whole file; 0 if it is unknown."""
    return row["end"] - row["start"] if "start" in row else row.get("duration", 0.0)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def canonical(value: Any) -> str:
    """Canonical JSON, independent of the order of keys."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Writes a manifest: one JSON row per line."""
    atomic_write(path, "".join(canonical(row) + "\n" for row in rows))


def read_rows(path: Path) -> list[Row]:
    """Reads a manifest; empty if the file is missing."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


class Store:
    """The results of all stages under one folder.

    `root/<stage>/<key>.json` has the rows of one result; larger data (audio, arrays) is stored
    beside it under the same key and written first.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def key(self, stage: str, version: int, settings: dict[str, Any], row: Row) -> str:
        """The key of a result, 32 hexadecimal digits."""
        text = canonical([stage, version, settings, row])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def path(self, stage: str, key: str, suffix: str = ".json") -> Path:
        return self.root / stage / f"{key}{suffix}"

    def relative(self, path: Path) -> str:
        """A file's name in rows, relative to the store."""
        return path.relative_to(self.root).as_posix()

    def load(self, stage: str, key: str) -> list[Row] | None:
        """The rows of a stored result; None if there is none."""
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
        """Locks the store for one build; the lock is released even if the process is killed.

        Raises:
            InputError: another build holds the lock.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with folder_lock(self.root, "another build"):
            yield

    def clean(self) -> None:
        """Removes partial files of killed runs."""
        for folder in (self.root.parent, self.root, *self.root.iterdir()):
            clean_leftovers(folder)
