"""Repairs headers whose sizes were never filled in: streams, crashes, recorders that lost power.

FFmpeg reads such a RIFF file to its end, so that trailing chunks become clicks, and rejects RF64,
Wave64 and AIFF or takes them for empty. So the sizes are computed from the file's length and
patched into the data as it is read, and trailing chunks are cut off.
"""

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np

_HEAD = 1 << 16  # bytes searched for Wave64 chunks before the audio
_TAIL = 1 << 20  # bytes searched for chunks after the audio
_ID3V1_BYTES = 128
_IFF = (b"RIFF", b"RF64", b"BW64", b"riff", b"FORM")
_MOST_CHUNKS, _MOST_BEHIND = 1000, 64
_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_ID = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"  # after the four letters of a chunk
_W64_CHUNK = 24  # bytes of a chunk's id and size, which are included in the size

Patches = dict[int, bytes]


class SizedFile:
    """The file object passed to FFmpeg: with a repaired header, and without a name, from which
    FFmpeg would guess the format or open neighbouring files.

    Args:
        file: seekable; read from its start.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file = _without_id3(file)
        self._end = file.seek(0, io.SEEK_END)
        file.seek(0)
        self._patches, self._end = _completed(file, self._end)
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """See `io.RawIOBase`."""
        start = self._file.tell()
        left = max(self._end - start, 0)
        content = self._file.read(left if size < 0 else min(size, left))
        for at, patch in self._patches.items():
            first, last = max(at, start), min(at + len(patch), start + len(content))
            if first < last:
                middle = patch[first - at : last - at]
                content = content[: first - start] + middle + content[last - start :]
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """See `io.RawIOBase`."""
        if whence == io.SEEK_END:
            return self._file.seek(self._end + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """See `io.RawIOBase`."""
        return self._file.tell()


class _Behind(io.RawIOBase):
    """What follows the first `skipped` bytes of a file."""

    def __init__(self, file: BinaryIO, skipped: int) -> None:
        self._file, self._skipped = file, skipped

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = self._skipped if whence == io.SEEK_SET else 0
        return self._file.seek(start + offset, whence) - self._skipped

    def tell(self) -> int:
        return self._file.tell() - self._skipped


def _without_id3(file: BinaryIO) -> BinaryIO:
    """Skips an ID3v2 tag before a WAV or AIFF file, which FFmpeg then recognises.

    Source: ID3v2.4.0 main structure, sections 3.1 and 3.4.
    """
    file.seek(0)
    head = file.read(10)
    if len(head) < 10 or head[:3] != b"ID3":
        return file
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    skipped = 10 + size + (10 if head[5] & 0x10 else 0)
    file.seek(skipped)
    return cast(BinaryIO, _Behind(file, skipped)) if file.read(4) in _IFF else file


def _completed(file: BinaryIO, length: int) -> tuple[Patches, int]:
    """The patches for a file of `length` bytes, and where its audio ends."""
    head = file.read(_HEAD)
    if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE":
        return _wave(file, length, head[:4])
    if head[:16] == _W64_RIFF:
        return _w64(head, length), length
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff(file, length)
    return {}, length


def _chunks(file: BinaryIO, layout: str) -> Iterator[tuple[bytes, int, int]]:
    """Name, offset and size of each chunk of an IFF file."""
    at = 12
    for _ in range(_MOST_CHUNKS):
        file.seek(at)
        if len(found := file.read(8)) < 8:
            return
        name, size = struct.unpack(layout, found)
        yield name, at, size
        at += 8 + size + size % 2


def _wave(file: BinaryIO, length: int, form: bytes) -> tuple[Patches, int]:
    is_wide, wide = form in (b"RF64", b"BW64"), 0
    for name, at, size in _chunks(file, "<4sI"):
        if name == b"ds64":
            file.seek(at + 16)
            wide = int.from_bytes(file.read(8), "little")
        if name == b"data":
            given = wide if is_wide and size in (0, 0xFFFFFFFF) else size
            plain = {0: b"RIFF"} if is_wide else {}  # then FFmpeg heeds the size of 32 bits
            if _is_right(file, at + 8, given, length):
                return plain if given != wide else {}, length
            # Zero is to FFmpeg a RIFF file of unknown length.
            return {**plain, at + 4: bytes(4)}, _end_of_sound(file, at + 8, length, "<4sI")
    return {}, length


def _is_right(file: BinaryIO, start: int, size: int, length: int) -> bool:
    """Whether `size` bytes of audio from `start` are plausible.

    Zero, and more than the file holds, are not. If most of the file follows without being a chunk,
    the size is only that of the first block written.
    """
    left = length - start
    if not 0 < size <= left:
        return False
    behind = left - size - size % 2
    if behind <= size or behind < 8:
        return True
    file.seek(start + size + size % 2)
    name, more = struct.unpack("<4sI", file.read(8))
    return _is_name(np.frombuffer(name, np.uint8)) and 8 + more <= behind


def _is_name(letters: np.ndarray) -> bool:
    return bool(((letters >= 0x20) & (letters < 0x7F)).all())


def _end_of_sound(file: BinaryIO, start: int, length: int, layout: str) -> int:
    """Where audio that begins at `start` ends: at the first of the trailing chunks that run
    contiguously to the end of the file, or else at that end.

    Audio is not mistaken for chunks: a chunk's name is printable, and its size leads exactly to the
    next one. An ID3v1 tag is no audio either.
    """
    file.seek(max(start, length - _ID3V1_BYTES))
    if file.read(3) == b"TAG":
        length -= _ID3V1_BYTES
    first = max(start, length - _TAIL)
    file.seek(first)
    tail = np.frombuffer(file.read(length - first), np.uint8)
    if len(tail) < 8:
        return length
    places = np.arange(len(tail) - 7)
    order = (7, 6, 5, 4) if layout[0] == "<" else (4, 5, 6, 7)
    sizes = np.zeros(len(places), np.int64)
    for offset in order:
        sizes = (sizes << 8) | tail[offset : offset + len(places)]
    ends = places + 8 + sizes
    end = len(tail)
    for _ in range(_MOST_BEHIND):
        # The byte that fills up an odd chunk may be missing.
        found = places[(ends == end) | (ends + (sizes & 1) == end)]
        found = [int(at) for at in found if _is_name(tail[at : at + 4])]
        if not found:
            break
        end = min(found)  # a LIST, and not the last of what it holds
    return first + end


def _w64(head: bytes, length: int) -> Patches:
    at = 40  # after the two ids and the file size
    while at + _W64_CHUNK <= len(head) and head[at + 4 : at + 16] == _W64_ID:
        (size,) = struct.unpack_from("<Q", head, at + 16)
        if head[at : at + 4] == b"data":
            if _W64_CHUNK < size <= length - at:
                break
            return {16: struct.pack("<Q", length), at + 16: struct.pack("<Q", length - at)}
        at += (max(size, _W64_CHUNK) + 7) // 8 * 8
    return {}


def _aiff(file: BinaryIO, length: int) -> tuple[Patches, int]:
    frames_at, frame_bytes = 0, 0
    for name, at, size in _chunks(file, ">4sI"):
        if name == b"COMM":
            file.seek(at + 8)
            channels, frames, bits = struct.unpack(">HIH", file.read(8).ljust(8, b"\0"))
            frames_at, frame_bytes = (0 if frames else at + 10), channels * ((bits + 7) // 8)
        if name == b"SSND":
            if 8 < size <= length - at - 8:
                break
            end = _end_of_sound(file, at + 16, length, ">4sI")
            size = min(end - at - 8, 0x7FFFFFFF)
            patches = {4: struct.pack(">I", min(end - 8, 0x7FFFFFFF))}
            patches[at + 4] = struct.pack(">I", size)
            if frames_at and frame_bytes:
                patches[frames_at] = struct.pack(">I", (size - 8) // frame_bytes)
            return patches, end
    return {}, length
