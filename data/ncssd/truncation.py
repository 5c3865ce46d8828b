"""Detects truncated media files: partial downloads, recorders that lost power."""

import re
import struct
from pathlib import Path
from typing import Any

import av

from data.ncssd.store import Row

_SLACK_S = 2.0
_ESTIMATED = {"mp3": 0.05}  # relative error of a length estimated for lack of a frame table
_UNKNOWN = {"aac"}  # the length is only extrapolated from the first frame's size
_MATROSKA = "matroska,webm"
# streams have no individual length, and FFmpeg may give the file's, whose video may be longer
_FILE_LENGTH_ONLY = {_MATROSKA, "flv", "asf"}
_SEGMENT = b"\x18\x53\x80\x67"  # Matroska's top-level element with all media data
_HEAD = 256
_TAIL = 1 << 17  # contains at least one Ogg page, whose limit is 65,307 bytes


def announced_seconds(container: Any, stream: Any) -> float:
    """The duration in seconds that the file's headers give; 0 if none.

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
    """Describes the evidence that the end is missing; empty if there is none.

    Args:
        path: the media file.
        facts: `duration`, `container` and `announced` (`announced_seconds`) from decoding.
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
    """The size in bytes that a file's headers give; 0 if none."""
    if container in ("wav", "avi"):
        return _riff_bytes(path)
    return _matroska_bytes(path) if container == _MATROSKA else 0


def _matroska_bytes(path: Path) -> int:
    """Offset of the segment's end (RFC 8794, section 6); 0 if its size is unknown (streams)."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    at = head.find(_SEGMENT) + len(_SEGMENT)
    if at < len(_SEGMENT) or at >= len(head) or not head[at]:
        return 0
    length = 9 - head[at].bit_length()  # length of the size field, from its leading zeros
    mark = 1 << (7 * length)
    size = int.from_bytes(head[at : at + length], "big") - mark
    return 0 if size == mark - 1 else at + length + size


def _riff_bytes(path: Path) -> int:
    """The size in a RIFF header; 0 if unknown (RF64, streams)."""
    with path.open("rb") as file:
        head = file.read(8)
    if len(head) < 8 or head[:4] != b"RIFF":
        return 0
    (size,) = struct.unpack("<I", head[4:])
    return 0 if size in (0, 0xFFFFFFFF, 0x7FFFFFFF) or size > 0xFFFFFF00 else size + 8


def _ogg_is_closed(path: Path) -> bool:
    """Whether the last page has the end-of-stream flag (RFC 3533, section 6)."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    at = tail.rfind(b"OggS")
    return at >= 0 and len(tail) > at + 5 and bool(tail[at + 5] & 4)
