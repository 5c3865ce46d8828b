"""Locations of dialogues in episodes, from DuplexChat's manifests.

A manifest (`duplexchat_manifest_en.jsonl.gz`) has one row per dialogue: `audio_url`, `language`,
`episode_start_sec`, `episode_end_sec`. It has no audio; media files are matched to episodes by the
file name in the URL, or by `audio_url` in the notes beside a file (`talk.mp3.json`).
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from data.errors import InputError
from data.ncssd.store import Row


def read_manifest(manifest: Path, media: list[Path]) -> dict[Path, Row]:
    """For each media file: `spans` ([start, end] in seconds, in order), `language`, `url`.

    Raises:
        InputError: the manifest cannot be read, or a file matches no episode or several.
    """
    names: dict[str, list[Path]] = defaultdict(list)
    for path in media:
        names[_noted_url(path) or path.name].append(path)
    episodes: dict[Path, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in _rows(manifest):
        for path in (*names.get(row["url"], ()), *names.get(_name_of(row["url"]), ())):
            episodes[path][row["url"]].append(row)
    return {path: _episode(manifest, path, episodes.get(path, {})) for path in media}


def _episode(manifest: Path, path: Path, found: dict[str, list[Row]]) -> Row:
    if len(found) != 1:
        which = f"{len(found)} episodes with that name" if found else "no episode with that name"
        raise InputError(
            f"{manifest} has {which}: {path.name}; name the file as its audio_url ends, or write "
            f'{{"audio_url": "..."}} into {path.name}.json beside it'
        )
    ((url, rows),) = found.items()
    spans = sorted([row["start"], row["end"]] for row in rows)
    return {"spans": spans, "language": rows[0]["language"], "url": url}


def _name_of(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name


def _noted_url(path: Path) -> str:
    notes = path.with_name(path.name + ".json")
    try:
        return str(json.loads(notes.read_text(encoding="utf-8")).get("audio_url", ""))
    except (OSError, ValueError, AttributeError):
        return ""  # `sources` reports what is wrong with it


def _rows(manifest: Path) -> Iterator[Row]:
    opened: Any = gzip.open if manifest.suffix == ".gz" else open
    try:
        with opened(manifest, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _row(manifest, number, line)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"{manifest} is not a DuplexChat manifest ({error})") from None


def _row(manifest: Path, number: int, line: str) -> Row:
    try:
        row = json.loads(line)
        start, end = float(row["episode_start_sec"]), float(row["episode_end_sec"])
        language = str(row.get("language") or "").split("-")[0].lower()
        found = {"url": str(row["audio_url"]), "start": start, "end": end, "language": language}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{manifest}:{number} is not a DuplexChat row (audio_url, episode_start_sec, "
            f"episode_end_sec; {type(error).__name__}: {error}): {line:.80}"
        ) from None
    if not 0.0 <= start < end < 1e7:
        raise InputError(f"{manifest}:{number}: invalid time range {start} to {end} s; correct it")
    return found
