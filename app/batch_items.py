"""The items of `launch.py synth`: a JSONL file, validated completely before anything starts."""

import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from data.dialogue import Turn, dialogue_from_dict, read_dialogue
from data.errors import InputError
from data.files import explain
from data.limits import MAX_SPOKEN, limited_text
from data.text import unprintable, valid_text
from models.delivery.controls import check_controls, lines_of
from models.delivery.instructions import understand

_KEYS = {"id", "text", "voice", "dialogue", "seed", "instructions"}
_MAX_LINES = 100
_MAX_NAME = 255  # bytes of a file's name, on nearly every file system
_ID_RULE = (
    "it becomes a file name: no '/', '\\' or control characters, no leading '.', "
    f"at most {_MAX_NAME - 4} bytes in UTF-8"
)


@dataclass(frozen=True)
class Item:
    """One line: text, voice and preceding turns.

    `spoken` has the (voice, text) pairs of a dialogue in several voices; `text` is then all of them
    joined.
    """

    id: str
    text: str
    voice: str
    turns: tuple[Turn, ...] = ()
    seed: int = 0
    instructions: str = ""
    spoken: tuple[tuple[str, str], ...] = ()

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """(voice, text) pairs in order, split at voice tags."""
        given = self.spoken or (("", self.text),)
        return tuple(
            (inner or voice or self.voice, line)
            for voice, text in given
            for inner, line in lines_of(text)
        ) or ((self.voice, self.text),)


def read_items(path: Path) -> list[Item]:
    """Reads and validates all lines.

    Raises:
        InputError: lists every bad line with the reason.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file; give a JSONL file, an object a line")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8 ({error}); save it as UTF-8") from None
    items: list[Item] = []
    problems: list[str] = []
    seen: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            item = _read_item(line, path.parent)
            key = unicodedata.normalize("NFC", item.id).lower()
            before = seen.setdefault(key, (number, item.id))
            if before[0] != number:
                raise InputError(_repeated(item.id, *before))
            items.append(item)
        except InputError as error:
            problems.append(f"line {number}: {error}")
        except OSError as error:  # of a dialogue's files
            problems.append(f"line {number}: {explain(error)}")
    if problems:
        shown = problems[:20] + ([f"and {len(problems) - 20} more"] if len(problems) > 20 else [])
        raise InputError(f"{path} has bad lines, nothing was started:\n  " + "\n  ".join(shown))
    if not items:
        raise InputError(f"{path} holds no items")
    return items


def _read_item(line: str, folder: Path) -> Item:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON ({error.msg} at column {error.colno})") from None
    except (ValueError, RecursionError) as error:  # thousands of digits or of brackets
        raise InputError(f"not JSON that can be read ({error})") from None
    if not isinstance(row, dict):
        raise InputError(f"not an object but {type(row).__name__}")
    unknown = sorted(set(row) - _KEYS)
    if unknown:
        raise InputError(f"unknown keys {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}")
    row = {"voice": "", "instructions": "", **row}  # without a voice, the default speaks
    spoken = _read_lines(row)
    for key in ("id", "text", "voice", "instructions"):
        if not isinstance(row.get(key), str):
            raise InputError(f'"{key}" must be a string')
    _check_id(row["id"])
    seed = row.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise InputError('"seed" must be an integer from 0 to 2147483647')
    turns = _read_turns(row.get("dialogue"), folder)
    text = limited_text(row["text"], MAX_SPOKEN, '"text"')
    item = Item(row["id"], text, row["voice"], turns, seed, row["instructions"], spoken)
    for _, line in item.lines:
        check_controls(line, understand(item.instructions).delivery)
    return item


def _read_lines(row: dict[str, object]) -> tuple[tuple[str, str], ...]:
    """The lines of a "text" that is a list, which is replaced by the joined text; else none."""
    given = row.get("text")
    if not isinstance(given, list):
        return ()
    known = [
        (line.get("voice", ""), line["text"])
        for line in given
        if isinstance(line, dict) and {"text"} <= set(line) <= {"text", "voice"}
    ]
    parts = [part for pair in known for part in pair]
    strings = all(isinstance(part, str) and valid_text(part) == part for part in parts)
    if not strings or not 1 <= len(known) == len(given) <= _MAX_LINES:
        raise InputError(
            f'"text" must be a string, or 1 to {_MAX_LINES} objects {{"voice": ..., "text": ...}}'
        )
    row["text"] = "\n".join(text for _, text in known)
    return tuple(known)


def _check_id(id: str) -> None:
    found = unprintable(id, allowed="") or next((repr(sign) for sign in "/\\" if sign in id), "")
    if not id:
        found = "nothing"
    elif not found and id.startswith("."):
        found = "'.' first"
    elif not found and len(f"{id}.wav".encode()) > _MAX_NAME:
        found = f"{len(id.encode())} bytes"
    if found:
        raise InputError(f"the id {id!r:.60} holds {found}; {_ID_RULE}")


def _repeated(id: str, line: int, before: str) -> str:
    if id == before:
        return f"the id {id!r} is already used in line {line}; ids must be unique"
    return (
        f"the id {id!r} and {before!r} of line {line} are the same file name on a "
        "case-insensitive file system; ids must be unique"
    )


def _read_turns(given: object, folder: Path) -> tuple[Turn, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        return tuple(read_dialogue(folder / given).turns)
    if not isinstance(given, list):
        raise InputError('"dialogue" must be a path or a list of turns')
    if not given:
        return ()
    return tuple(dialogue_from_dict({"turns": given}, folder, '"dialogue"').turns)
