"""Headers whose sizes were never filled in: a stream, a crash, a recorder that lost power.

FFmpeg reads such a RIFF file to its end. RF64, Wave64 and AIFF it refuses or takes for empty, so
their sizes are worked out from the length of the file and laid over what is read.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

_HEAD = 1 << 16  # the chunks before the sound lie in it
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_ID = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # after the four letters of a chunk
_W64_CHUNK = 24  # bytes of a chunk's id and size, which the size counts too

Patches = dict[int, bytes]


class SizedFile:
    """A file as FFmpeg gets it: its header completed where it has to be, and without a name, from
    which FFmpeg would guess a format or look beside it.

    Args:
        file: can seek; it is read from its start.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        length = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._patches = _patches(file.read(_HEAD), length)
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase`."""
        start = self._file.tell()
        content = self._file.read(size)
        for at, patch in self._patches.items():
            first, last = max(at, start), min(at + len(patch), start + len(content))
            if first < last:
                middle = patch[first - at : last - at]
                content = content[: first - start] + middle + content[last - start :]
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._file.tell()


def _patches(head: bytes, length: int) -> Patches:
    """What to lay over a file of `length` bytes that begins with `head`."""
    if head[:4] in (b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _rf64(head, length)
    if head[:16] == _W64_RIFF:
        return _w64(head, length)
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(head, length)
    return {}


def _chunks(head: bytes, layout: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, place and size of each chunk of an IFF file; ends at the edge of `head`."""
    at = 12
    while at + 8 <= len(head):
        name, size = struct.unpack_from(layout, head, at)
        yield name, at, size
        at += 8 + size + size % 2


def _rf64(head: bytes, length: int) -> Patches:
    """As RIFF of unknown length, where the chunk of 64-bit sizes is absent or says nothing."""
    sizes = 0
    for name, at, size in _chunks(head, "<4sI"):
        if name == b"ds64" and at + 24 <= len(head):
            (sizes,) = struct.unpack_from("<Q", head, at + 16)
        if name == b"data":
            if size in (0, 0xFFFFFFFF) and not 0 < sizes <= length:
                return {0: b"RIFF", at + 4: bytes(4)}
            break
    return {}


def _w64(head: bytes, length: int) -> Patches:
    at = 40  # after the two ids and the size of the file
    while at + _W64_CHUNK <= len(head) and head[at + 4 : at + 16] == _W64_ID:
        (size,) = struct.unpack_from("<Q", head, at + 16)
        if head[at : at + 4] == b"data":
            if _W64_CHUNK < size <= length - at:
                break
            return {16: struct.pack("<Q", length), at + 16: struct.pack("<Q", length - at)}
        at += (max(size, _W64_CHUNK) + 7) // 8 * 8
    return {}


def _aiff(head: bytes, length: int) -> Patches:
    frames_at, frame_bytes = 0, 0
    for name, at, size in _chunks(head, ">4sI"):
        if name == b"COMM" and at + 16 <= len(head):
            channels, frames, bits = struct.unpack_from(">HIH", head, at + 8)
            frames_at, frame_bytes = (0 if frames else at + 10), channels * ((bits + 7) // 8)
        if name == b"SSND":
            if 8 < size <= length - at - 8:
                break
            size = min(length - at - 8, 0x7FFFFFFF)
            patches = {4: struct.pack(">I", min(length - 8, 0x7FFFFFFF))}
            patches[at + 4] = struct.pack(">I", size)
            if frames_at and frame_bytes:
                patches[frames_at] = struct.pack(">I", (size - 8) // frame_bytes)
            return patches
    return {}
