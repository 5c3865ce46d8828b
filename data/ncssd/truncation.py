"""Whether a media file ends before it should: half a download, a recorder that lost power."""

import re
import struct
from pathlib import Path
from typing import Any

import av

from data.ncssd.store import Row

_SLACK_S = 2.0
_ESTIMATED = {"mp3": 0.05}  # without a table of its frames the length is a guess: share of it
_UNKNOWN = {"aac"}  # the length is a guess from the first frame's size
_MATROSKA = "matroska,webm"
# their streams have no lengths of their own: FFmpeg may give the file's, whose video may run on
_FILE_LENGTH_ONLY = {_MATROSKA, "flv", "asf"}
_SEGMENT = b"\x18\x53\x80\x67"  # the element of Matroska that holds all but the first
_HEAD = 256
_TAIL = 1 << 17  # holds at least one page of Ogg, which is 65,307 bytes at most


def announced_seconds(container: Any, stream: Any) -> float:
    """How long the sound should be by what the file says; 0 where it does not say.

    Args:
        container: an open `av.container.InputContainer`.
        stream: its audio stream.
    """
    name = container.format.name
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    if name == _MATROSKA and tag:
        end = 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
        return end - float((stream.start_time or 0) * stream.time_base)
    if name not in _FILE_LENGTH_ONLY and stream.duration:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1
    return (container.duration or 0) / av.time_base if alone else 0.0


def missing_end(path: Path, facts: Row) -> str:
    """What shows that the end is missing, in words; empty where nothing does.

    Args:
        path: the media file.
        facts: what decoding it gave: `duration`, `container`, `announced` (`announced_seconds`).
    """
    container = facts["container"]
    whole = _whole_bytes(path, container)
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


def _whole_bytes(path: Path, container: str) -> int:
    """The size that a file says it has; 0 where it does not say."""
    if container in ("wav", "avi"):
        return _riff_bytes(path)
    return _matroska_bytes(path) if container == _MATROSKA else 0


def _matroska_bytes(path: Path) -> int:
    """Where the segment ends (RFC 8794, section 6); 0 where it does not say (streams)."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    at = head.find(_SEGMENT) + len(_SEGMENT)
    if at < len(_SEGMENT) or at >= len(head) or not head[at]:
        return 0
    length = 9 - head[at].bit_length()  # bytes of the size, by the first one's leading zeros
    mark = 1 << (7 * length)
    size = int.from_bytes(head[at : at + length], "big") - mark
    return 0 if size == mark - 1 else at + length + size


def _riff_bytes(path: Path) -> int:
    """The size that a RIFF file says it has; 0 where it does not say (RF64, streams)."""
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
