"""What goes in: media files, what is known of their rights, and what is already known of them."""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import InputError
from data.ncssd.duplexchat import read_manifest
from data.ncssd.given import Given, read_given
from data.ncssd.store import Row, hash_file

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
_KNOWN = ("license", "consent", "language")


@dataclass(frozen=True)
class Source:
    """One media file: what is exported of it is its name, never its path."""

    path: Path
    sha256: str
    rights: Row
    given: Given | None = None  # who speaks when, as others have found it
    spans: list[list[float]] | None = None  # where dialogues lie, as others have found it

    @property
    def row(self) -> Row:
        """What the stages begin with."""
        given = {} if self.given is None else {"given": self.given}
        spans = {} if self.spans is None else {"spans": self.spans}
        return {"sha256": self.sha256, **self.spoken, **given, **spans}

    @property
    def spoken(self) -> Row:
        """`language` where it is known; empty where it is to be found."""
        language = self.rights.get("language") or "auto"
        return {} if language == "auto" else {"language": language}

    @property
    def name(self) -> str:
        """The file's name; bytes in it that are no UTF-8 are replaced."""
        return os.fsencode(self.path.name).decode(errors="replace")


def find_media(inputs: list[Path], out: Path | None = None) -> list[Path]:
    """Files as they are given; of folders, every media file under them, in order of name.

    Args:
        inputs: files and folders.
        out: what the build makes; of a folder that holds it, what lies there is no input.

    Raises:
        InputError: something that is not there, or a folder without media.
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
                raise InputError(f"{given} holds no media file{beside} ({kinds})")
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
) -> list[Source]:
    """Hashes the files; the same content under two names is taken once.

    Args:
        rights: license and consent of every file that does not say otherwise in a JSON file
            beside it (`talk.mp3` and `talk.mp3.json`), and the language of all.
        require_license: whether a file without a licence is refused.
        given: take who speaks when from what lies beside each file (`given`).
        manifest: of DuplexChat; take where dialogues lie, and their language, from there.

    Raises:
        InputError: rights that cannot be read, none where a licence is required, or a file of
            another language.
    """
    sources: dict[str, Source] = {}
    unlicensed = []
    episodes = {} if manifest is None else read_manifest(manifest, paths)
    for path in paths:
        episode = episodes.get(path, {})
        known = {"language": episode["language"]} if episode.get("language") else {}
        own = {**rights, **known, **_beside(path)}
        _check_language(path, own, rights)
        if require_license and not own.get("license"):
            unlicensed.append(str(path))
        sha = hash_file(path)
        if sha in sources:
            log.warning("%s has the content of %s; it is taken once", path, sources[sha].path)
        else:
            segments = read_given(path) if given else None
            sources[sha] = Source(path, sha, own, segments, episode.get("spans"))
    if unlicensed:
        raise InputError(
            f"--require-license: no licence is known of {', '.join(unlicensed[:5])}"
            f"{' and others' if len(unlicensed) > 5 else ''}; give --license, or "
            f'{{"license": "..."}} in a file named as the media with .json after it'
        )
    return list(sources.values())


def _check_language(path: Path, own: Row, rights: Row) -> None:
    """A build with --language recognises and counts in it; of another the texts would be wrong."""
    asked = rights.get("language", "")
    if asked == "auto":
        return
    said = own.get("language") or asked
    if asked and said.split("-")[0].lower() != asked.split("-")[0].lower():
        raise InputError(
            f"{path.name}.json says that its language is {said!r}, and this build's is {asked!r}; "
            f"build it by itself with --language {said} and another --out"
        )


def _beside(path: Path) -> Row:
    notes = path.with_name(path.name + ".json")
    if not notes.is_file():
        return {}
    try:
        content: Any = json.loads(notes.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{notes} is not JSON ({error}); mend or remove it") from None
    if not isinstance(content, dict):
        raise InputError(f'{notes}: expected {{"license": "...", "consent": "..."}}')
    wrong = [key for key in _KNOWN if not isinstance(content.get(key, ""), str)]
    if wrong:
        raise InputError(f"{notes}: {', '.join(wrong)} must be text")
    return {key: content[key] for key in _KNOWN if key in content}
