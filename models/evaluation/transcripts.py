"""Transcripts of sound files: text files beside them, or lists in the formats of public data
sets."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from data.errors import InputError

_BESIDE = (".txt", ".lab", ".normalized.txt")
_LISTS = ("*.trans.txt", "metadata.csv", "transcripts.txt", "transcripts.tsv", "transcripts.csv")
_LINE = re.compile(r"^([^|\t:]+?)(?:\s*\|\s*|\t+|:\s+)(.+)$")
_SPACED = re.compile(r"^(\S+)\s+(.+)$")
_NOT_SAID = re.compile(r"\[[^\]]*\]|<[^>]*>|\([^)]*\)")


def read_transcripts(
    folder: Path, paths: Iterable[Path], transcripts: Path | None = None
) -> dict[Path, str]:
    """Finds the texts of sound files.

    A text is in a file beside the sound (`.txt`, `.lab`, `.normalized.txt`) or in a list:
    `transcripts`, else LibriSpeech's `*.trans.txt`, LJ Speech's `metadata.csv`, or
    `transcripts.txt` anywhere under the folder. A line is a name and a text separated by `|`, a
    tab, a colon or a space; the name may include a folder and may omit the suffix. Text in brackets
    is ignored.

    Raises:
        InputError: `transcripts` cannot be read.
    """
    listed: dict[str, str] = {}
    for path in [transcripts] if transcripts else _lists(folder):
        listed.update(_read_list(path))
    found = {}
    for path in paths:
        text = _beside(path)
        if text is None:
            relative = path.relative_to(folder).with_suffix("").as_posix()
            text = listed.get(relative, listed.get(path.stem))
        if text is not None:
            found[path] = " ".join(_NOT_SAID.sub(" ", text).split())
    return found


def _lists(folder: Path) -> Iterator[Path]:
    for pattern in _LISTS:
        yield from sorted(folder.rglob(pattern))


def _read_list(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text in UTF-8 ({error})") from None
    for line in lines:
        match = _LINE.match(line.strip()) or _SPACED.match(line.strip())
        if match:
            name, text = match[1].strip(), match[2].split("|")[-1].strip()
            yield re.sub(r"\.(wav|flac|mp3|ogg|opus|m4a)$", "", name), text


def _beside(path: Path) -> str | None:
    for suffix in _BESIDE:
        text = path.with_suffix(suffix)
        if text.is_file() and not text.match("*.trans.txt"):
            return text.read_text(encoding="utf-8-sig", errors="replace")
    return None
