"""Sources of a build: media files, their rights, and annotations beside them."""

import itertools
import json
import logging
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import InputError
from data.languages import check_language_code, primary_language
from data.ncssd.duplexchat import read_manifest
from data.ncssd.given import Given, read_given
from data.ncssd.known_files import KnownFiles
from data.ncssd.store import Row

log = logging.getLogger(__name__)
MEDIA = frozenset(
    [
        ".aac",
        ".aif",
        ".aiff",
        ".avi",
        ".flac",
        ".flv",
        ".m4a",
        ".m4v",
        ".mka",
        ".mkv",
        ".mov",
        ".mp3",
        ".mp4",
        ".mpg",
        ".mpeg",
        ".oga",
        ".ogg",
        ".opus",
        ".ts",
        ".wav",
        ".webm",
        ".wma",
        ".wmv",
    ]
)
_KNOWN = ("license", "consent", "language", "show")


@dataclass(frozen=True)
class Source:
    """One media file. Exports contain its name, never its path."""

    path: Path
    sha256: str
    rights: Row
    given: Given | None = None  # external diarisation
    spans: list[list[float]] | None = None  # external locations of dialogues
    show: str = ""  # across whose sources speakers are linked; empty: within this one
    seconds: float = 0.0  # that its headers give; 0 if unknown

    @property
    def row(self) -> Row:
        """The row that enters the first stage."""
        given = {} if self.given is None else {"given": self.given}
        spans = {} if self.spans is None else {"spans": self.spans}
        return {"sha256": self.sha256, **self.spoken, **given, **spans}

    @property
    def spoken(self) -> Row:
        """`language` if it is known; else empty."""
        language = self.rights.get("language") or "auto"
        return {} if language == "auto" else {"language": language}

    @property
    def name(self) -> str:
        """The file's name."""
        return _text(self.path.name)


def find_media(inputs: list[Path], out: Path | None = None) -> list[Path]:
    """The given files, and all media files below the given folders, sorted by name.

    Args:
        inputs: files and folders.
        out: output folder of the build, ignored if it is inside an input folder.

    Raises:
        InputError: an input does not exist, or a folder has no media.
    """
    found: list[Path] = []
    own = None if out is None else out.resolve()
    for given in inputs:
        if given.is_dir():
            inside = sorted(
                path
                for path in given.rglob("*")
                if path.suffix.lower() in MEDIA
                and path.is_file()
                and (own is None or not path.resolve().is_relative_to(own))
            )
            if not inside:
                kinds = " ".join(sorted(MEDIA))
                beside = "" if out is None else f" outside of --out {out}"
                raise InputError(f"{given} has no media file{beside} ({kinds})")
            found += inside
        elif given.is_file():
            found.append(given)
        else:
            raise InputError(f"{given} does not exist; give media files or folders of them")
    return list(dict.fromkeys(found))


def read_sources(
    paths: list[Path],
    rights: Row,
    require_license: bool,
    given: bool = False,
    manifest: Path | None = None,
    link_shows: bool = False,
    known: KnownFiles | None = None,
) -> list[Source]:
    """Hashes the files, unless they are known; duplicate content is used once.

    Args:
        rights: `license`, `consent` and `language`, unless a JSON file beside the media
            (`talk.mp3.json` for `talk.mp3`) gives its own.
        require_license: whether to reject files without a licence.
        given: whether to read diarisation from a file beside each medium (`given`).
        manifest: a DuplexChat manifest with the locations of dialogues and their language.
        link_shows: whether to give sources their show: `show` in the JSON file beside them, else
            their folder.
        known: facts about the files from earlier runs.

    Raises:
        InputError: notes that cannot be read, a missing licence, or a file in an unknown language
            or another one than asked.
    """
    episodes = {} if manifest is None else read_manifest(manifest, paths)
    notes = _read_notes(paths, rights, require_license, episodes)
    shows = _folder_names(paths) if link_shows else {}
    known = known or KnownFiles()
    sources: dict[str, Source] = {}
    for path, own in notes.items():
        show = own.pop("show", "") or shows.get(path, "")
        facts = known.facts(path)
        if facts.sha256 in sources:
            first = sources[facts.sha256].path
            log.warning("%s has the same content as %s; using it once", path, first)
            continue
        sources[facts.sha256] = Source(
            path,
            facts.sha256,
            own,
            read_given(path) if given else None,
            episodes.get(path, {}).get("spans"),
            show if link_shows else "",
            facts.seconds,
        )
    return list(sources.values())


def _read_notes(
    paths: list[Path], rights: Row, require_license: bool, episodes: dict[Path, Row]
) -> dict[Path, Row]:
    """The rights of each file, and its show if the JSON file beside it names one."""
    notes: dict[Path, Row] = {}
    unlicensed = []
    for path in paths:
        episode = episodes.get(path, {})
        language = {"language": episode["language"]} if episode.get("language") else {}
        notes[path] = {**rights, **language, **_beside(path)}
        _check_language(path, notes[path], rights)
        if require_license and not notes[path].get("license"):
            unlicensed.append(str(path))
    if unlicensed:
        raise InputError(
            f"--require-license: no licence is known for {', '.join(unlicensed[:5])}"
            f"{' and others' if len(unlicensed) > 5 else ''}; give --license, or "
            f'{{"license": "..."}} in a JSON file beside it (talk.mp3.json for talk.mp3)'
        )
    return notes


def _folder_names(paths: list[Path]) -> dict[Path, str]:
    """For each file the name of its folder, with as many of those above as tell it from others.

    Unlike a whole path, it usually stays the same when files are moved or others added.
    """
    folder_of = {path: path.parent.resolve() for path in paths}
    folders = set(folder_of.values())
    ends = {
        folder: [folder.parts[-n:] for n in range(1, len(folder.parts) + 1)] for folder in folders
    }
    number = Counter(itertools.chain.from_iterable(ends.values()))
    names = {
        folder: _text("/".join(next(end for end in own if number[end] == 1)))
        for folder, own in ends.items()
    }
    return {path: names[folder] for path, folder in folder_of.items()}


def _text(path: str) -> str:
    """A path with bytes that are not UTF-8 replaced."""
    return os.fsencode(path).decode(errors="replace")


def _check_language(path: Path, own: Row, rights: Row) -> None:
    """Rejects unknown languages, and files in a language other than --language, which would be
    transcribed wrongly."""
    asked = rights.get("language", "")
    said = own.get("language") or asked
    if said not in ("", "auto"):
        check_language_code(said, path.name)
    if asked in ("", "auto"):
        return
    if primary_language(said) != primary_language(asked):
        raise InputError(
            f"{path.name}.json gives the language {said!r}, but this build's is {asked!r}; "
            f"build it separately with --language {said} and another --out"
        )


def _beside(path: Path) -> Row:
    notes = path.with_name(path.name + ".json")
    if not notes.is_file():
        return {}
    try:
        content: Any = json.loads(notes.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{notes} is not JSON ({error}); correct or remove it") from None
    if not isinstance(content, dict):
        raise InputError(f'{notes}: expected {{"license": "...", "consent": "..."}}')
    wrong = [key for key in _KNOWN if not isinstance(content.get(key, ""), str)]
    if wrong:
        raise InputError(f"{notes}: {', '.join(wrong)} must be text")
    return {key: content[key] for key in _KNOWN if key in content}
