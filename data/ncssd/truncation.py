"""Whether a media file ends before it should: half a download, a recorder that lost power."""

import struct
from pathlib import Path

from data.ncssd.store import Row

_SLACK_S = 2.0
_ESTIMATED = {"mp3": 0.05}  # without a table of its frames the length is a guess: share of it
_UNKNOWN = {"aac"}  # the length is a guess from the first frame's size
_TAIL = 1 << 17  # holds at least one page of Ogg, which is 65,307 bytes at most


def missing_end(path: Path, facts: Row) -> str:
    """What shows that the end is missing, in words; empty where nothing does.

    Args:
        path: the media file.
        facts: what decoding it gave: `duration`, `container`, `announced` (seconds, 0 where the
            container does not say).
    """
    container = facts["container"]
    whole = _wav_bytes(path) if container == "wav" else 0
    size = path.stat().st_size
    if size < whole:
        return f"{size} of {whole} bytes are there"
    if container == "ogg" and not _ogg_is_closed(path):
        return "its last page is missing"
    announced = 0.0 if container in _UNKNOWN else facts.get("announced", 0.0)
    slack = max(_SLACK_S, _ESTIMATED.get(container, 0.0) * announced)
    if facts["duration"] < announced - slack:
        return f"{facts['duration']:.1f} of {announced:.1f} s are there"
    return ""


def _wav_bytes(path: Path) -> int:
    """The size that a WAV file says it has; 0 where it does not say (RF64, streams)."""
    with path.open("rb") as file:
        head = file.read(8)
    if len(head) < 8 or head[:4] != b"RIFF":
        return 0
    (size,) = struct.unpack("<I", head[4:])
    return 0 if size in (0, 0xFFFFFFFF, 0x7FFFFFFF) or size > 0xFFFFFF00 else size + 8


def _ogg_is_closed(path: Path) -> bool:
    """Whether the last page has the mark of the last (RFC 3533, section 6)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    at = tail.rfind(b"OggS")
    return at >= 0 and len(tail) > at + 5 and bool(tail[at + 5] & 4)
