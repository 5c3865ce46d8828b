"""Joins corpora in NCSSD layout into one: dialogues are numbered on, sound is hard-linked."""

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
    """Adds to `out` each dialogue of `folders` that it lacks; returns how many it holds.

    What was added keeps its number, so that a corpus can grow while models train on it.
    `out/merged.json` says where each dialogue came from.

    Raises:
        InputError: a folder holds no dialogues, or `out` holds dialogues that no merge put there.
    """
    prepare_folder(out)
    listing = out / SOURCES
    known: dict[str, int] = json.loads(listing.read_text()) if listing.exists() else {}
    if not known and _dialogues(out):
        raise InputError(f"{out} holds dialogues of its own; give --out an empty folder")
    for folder in folders:
        dialogues = _dialogues(folder)
        if not dialogues:
            raise InputError(
                f"{folder} holds no dialogues in NCSSD layout (folders named by number)"
            )
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
    """Writes corpus.json with the commands that made the corpora, where every one of them says."""
    records = [folder / "corpus.json" for folder in folders]
    if not all(path.is_file() for path in records):
        return
    commands = [json.loads(path.read_text()).get("command", "") for path in records]
    if all(commands):
        joined = "launch.py data merge " + " ".join(folder.name for folder in folders)
        record = {"command": "; ".join([*commands, joined]), "corpora": commands}
        atomic_write(out / "corpus.json", json.dumps(record, indent=1, ensure_ascii=False))


def _dialogues(folder: Path) -> list[Path]:
    """Those complete, in order of their numbers."""
    found = [path.parent for path in folder.glob("*/metadata.json") if path.parent.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name))


def _add(source: Path, target: Path, number: int) -> None:
    with atomic_folder(target, replace=True) as folder:  # a merge that was stopped may have left it
        for path in source.iterdir():
            if path.name == "metadata.json":
                record = json.loads(path.read_text()) | {"dialog": number}
                (folder / path.name).write_text(json.dumps(record, ensure_ascii=False))
            else:
                _link(path, folder / _NUMBER.sub(f"_d{number}", path.name))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
