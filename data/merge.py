"""Merges corpora in NCSSD layout: renumbers dialogues and hard-links their audio."""

import json
import os
import re
import shutil
from pathlib import Path

from data.errors import InputError
from data.files import atomic_folder, atomic_write, prepare_folder

SOURCES = "merged.json"
_NUMBER = re.compile(r"_d\d+(?=\.\w+$)")


def merge(folders: list[Path], out: Path) -> int:
    """Adds the missing dialogues of `folders` to `out`; returns the number it then has.

    Existing numbers are kept, so that a corpus can grow while models train on it.
    `out/merged.json` records the origin of each dialogue.

    Raises:
        InputError: a folder has no dialogues, or `out` has dialogues that no merge put there.
    """
    prepare_folder(out)
    listing = out / SOURCES
    known: dict[str, int] = json.loads(listing.read_text()) if listing.exists() else {}
    if not known and _dialogues(out):
        raise InputError(f"{out} has dialogues of its own; give --out an empty folder")
    for folder in folders:
        dialogues = _dialogues(folder)
        if not dialogues:
            raise InputError(f"{folder} has no dialogues in NCSSD layout (folders named by number)")
        for dialogue in dialogues:
            key = f"{folder.resolve()}/{dialogue.name}"
            if key not in known:
                number = len(known)
                _add(dialogue, out / str(number), number)
                known[key] = number
        atomic_write(listing, json.dumps(known, indent=0))
    _say_how_it_was_made(folders, out)
    return len(known)


def _say_how_it_was_made(folders: list[Path], out: Path) -> None:
    """Writes corpus.json with the commands that made the corpora, if all of them state one."""
    records = [folder / "corpus.json" for folder in folders]
    if not all(path.is_file() for path in records):
        return
    commands = [json.loads(path.read_text()).get("command", "") for path in records]
    if all(commands):
        joined = "launch.py data merge " + " ".join(folder.name for folder in folders)
        record = {"command": "; ".join([*commands, joined]), "corpora": commands}
        atomic_write(out / "corpus.json", json.dumps(record, indent=1, ensure_ascii=False))


def _dialogues(folder: Path) -> list[Path]:
    """Complete dialogue folders in numerical order."""
    found = [path.parent for path in folder.glob("*/metadata.json") if path.parent.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name))


def _add(source: Path, target: Path, number: int) -> None:
    with atomic_folder(target, replace=True) as folder:  # an interrupted merge may have left it
        for path in source.iterdir():
            if path.name == "metadata.json":
                record = json.loads(path.read_text()) | {"dialog": number}
                (folder / path.name).write_text(json.dumps(record, ensure_ascii=False))
            else:
                _link(path, folder / _NUMBER.sub(f"_d{number}", path.name))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or no hard links
        shutil.copyfile(source, target)
