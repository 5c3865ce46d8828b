"""Disks that are full, and places where nothing can be written."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def files_of_at_most(num_bytes: int) -> Iterator[None]:
    """What a full disk does, for a process that may write anywhere: `write` fails half-way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def bad_places(root: Path) -> dict[str, tuple[Path, str]]:
    """Places where no file can be written, and what is said of them."""
    (root / "file").write_text("")
    (root / "folder.wav").mkdir()
    (root / "dangling").symlink_to(root / "nowhere")
    (root / "loop").symlink_to(root / "loop")
    (root / "full.wav").symlink_to("/dev/full")
    os.mkfifo(root / "pipe.wav")
    long = "x" * 256
    return {
        "a file for a folder": (root / "file" / "a.wav", "is a file, not a folder"),
        "a file far above": (root / "file" / "b" / "c" / "a.wav", "is a file, not a folder"),
        "a folder for a file": (root / "folder.wav", "Is a directory"),
        "a long name": (root / f"{long}.wav", "File name too long; choose a shorter name"),
        "a long folder": (root / long / "a.wav", "File name too long|does not exist"),
        "a dangling link": (root / "dangling" / "a.wav", "is a link to .*nowhere"),
        "a loop": (root / "loop" / "a.wav", "is a link to .*loop"),
        "a device": (root / "full.wav", "not a regular file"),
        "a pipe": (root / "pipe.wav", "not a regular file"),
        "no folder": (root / "none" / "a.wav", "the folder .*none does not exist; make it"),
    }
