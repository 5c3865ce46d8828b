"""Facts about media files that take reading them whole, kept so that a build resumes at once.

A file that has the path, size and modification time of before is not read again.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from data.audio.media import open_media
from data.errors import InputError
from data.files import output_errors, prepare_folder
from data.ncssd.store import hash_file
from data.ncssd.truncation import announced_seconds


@dataclass(frozen=True)
class Facts:
    """A file's identity and what was read from it."""

    path: str
    size: int
    mtime_ns: int
    sha256: str
    seconds: float  # that its headers give; 0 if none or unreadable


class KnownFiles:
    """Facts about files, with a line of JSON for each in `path`.

    Lines are appended one by one: what a killed run has read is not lost.

    Args:
        path: None keeps nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._known: dict[tuple[str, int, int], Facts] = {}
        if path is not None and path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                self._recall(line)

    def _recall(self, line: str) -> None:
        try:
            facts = Facts(**json.loads(line))
        except (ValueError, TypeError):  # cut off by a kill, or of another version: read again
            return
        self._known[facts.path, facts.size, facts.mtime_ns] = facts

    def facts(self, file: Path) -> Facts:
        """The facts about a file; reads it unless they are known."""
        status = file.stat()  # before reading: a change meanwhile is found next time
        key = str(file.absolute()), status.st_size, status.st_mtime_ns
        if key not in self._known:
            self._known[key] = Facts(*key, hash_file(file), _seconds(file))
            self._keep(self._known[key])
        return self._known[key]

    def _keep(self, facts: Facts) -> None:
        if self._path is None:
            return
        if not self._path.parent.is_dir():
            prepare_folder(self._path.parent)
        # the line break comes first, so that a line cut off by a kill ends there
        line = "\n" + json.dumps(asdict(facts))
        with output_errors(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line)


def _seconds(file: Path) -> float:
    try:
        with open_media(file) as media:
            return round(announced_seconds(media.file, media.stream), 3)
    except InputError:  # decoding will say why
        return 0.0
