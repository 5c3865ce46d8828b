"""Headers that a stream, a crash or a careless program left wrong: the sound is there, and read."""

import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data.audio import SAMPLE_RATE, read_audio
from data.errors import InputError

SOUND = (3000 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)).astype(np.int16)
SIZE = 2 * len(SOUND)
ALL = 0xFFFFFFFF
PCM = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, SIZE, 2, 16)


def chunk(name: bytes, content: bytes, size: str = "<I", filled: bool = True) -> bytes:
    return name + struct.pack(size, len(content)) + content + b"\0" * (len(content) % 2 * filled)


LIST = b"LIST" + struct.pack("<I", 10) + b"INFOISFTxx"
INFO = chunk(b"LIST", b"INFO" + chunk(b"ISFT", b"Lavf5") + chunk(b"ICMT", b"abc"))
ID3V1 = b"TAG" + b"a" * 125
ID3 = chunk(b"id3 ", b"ID3" + b"x" * 2000)


def wav(
    riff: int = 36 + SIZE,
    data: int = SIZE,
    before: bytes = b"",
    fmt: bytes = PCM,
    body: bytes = SOUND.tobytes(),
    name: bytes = b"RIFF",
) -> bytes:
    head = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    sound = b"data" + struct.pack("<I", data) + body
    return name + struct.pack("<I", riff) + b"WAVE" + before + head + sound


def encoded(format: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, SOUND, SAMPLE_RATE, format=format, subtype="PCM_16")
    return buffer.getvalue()


def changed(content: bytes, *changes: tuple[int, bytes]) -> bytes:
    made = bytearray(content)
    for at, new in changes:
        made[at : at + len(new)] = new
    return bytes(made)


def rf64(*sizes: int, data: int = ALL, junk: int = 0) -> bytes:
    wide = b"ds64" + struct.pack("<I", 28) + struct.pack("<QQQI", *sizes, 0)
    return wav(ALL, data, wide + (chunk(b"JUNK", bytes(junk)) if junk else b""), name=b"RF64")


def id3v2(size: int, footer: bool = False) -> bytes:
    seven_bits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    head = b"\4\0" + (b"\x10" if footer else b"\0") + seven_bits
    return b"ID3" + head + bytes(size) + (b"3DI" + head if footer else b"")


W64, AIFF, AU, CAF = (encoded(one) for one in ("W64", "AIFF", "AU", "CAF"))
W64_DATA, SSND, CAF_DATA = W64.index(b"data") + 16, AIFF.index(b"SSND") + 4, CAF.index(b"data") + 4
COMM = AIFF.index(b"COMM") + 10

HEADERS = {
    "all zero": wav(0, 0),
    "as of no samples": wav(36, 0),
    "all ones": wav(ALL, ALL),
    "the greatest signed": wav(0x7FFFFFFF, 0x7FFFFFFF),
    "ones and zero": wav(ALL, 0),
    "zero and ones": wav(0, ALL),
    "no riff": wav(0, SIZE),
    "no data": wav(36 + SIZE, 0),
    "of sox, streaming": wav(0x7FFFFFFF + 36, 0x7FFFF000),
    "of ffmpeg, streaming": wav(ALL, ALL, LIST),
    "of 2 GB": wav(0x80000024, 0x80000000),
    "longer than the file": wav(36 + SIZE + 1000, SIZE + 1000),
    "an odd number of bytes": wav(36 + SIZE, SIZE + 1),
    "half a sample at the end": wav(0, 0, body=SOUND.tobytes() + b"\1"),
    "no samples in its fact": wav(0, 0, b"fact" + struct.pack("<II", 4, 0)),
    "an odd chunk before": wav(0, 0, b"LIST" + struct.pack("<I", 9) + b"INFOxxxxx\0"),
    "no byte rate": wav(0, 0, fmt=struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, 0, 2, 16)),
    "room for 64 bits, unused": wav(0, 0, b"JUNK" + struct.pack("<I", 28) + bytes(28)),
    "rf64": rf64(100 + SIZE, SIZE, len(SOUND)),
    "rf64, zero": rf64(0, 0, 0),
    "rf64, ones": rf64(2**64 - 1, 2**64 - 1, 2**64 - 1),
    "rf64, no data": rf64(100 + SIZE, 0, 0),
    "rf64, all zero": rf64(0, 0, 0, data=0),
    "rf64 without its chunk": wav(ALL, ALL, LIST, name=b"RF64"),
    "bw64": changed(rf64(0, 0, 0), (0, b"BW64")),
    "w64": W64,
    "w64, zero": changed(W64, (16, bytes(8)), (W64_DATA, bytes(8))),
    "w64, ones": changed(W64, (W64_DATA, b"\xff" * 8)),
    "w64, a header's size": changed(W64, (W64_DATA, struct.pack("<Q", 24))),
    "aiff, zero": changed(AIFF, (4, bytes(4)), (SSND, bytes(4)), (COMM, bytes(4))),
    "aiff, ones": changed(AIFF, (4, b"\xff" * 4), (SSND, b"\xff" * 4)),
    "aiff, a header's size": changed(AIFF, (SSND, struct.pack(">I", 8))),
    "au, ones": changed(AU, (8, b"\xff" * 4)),
    "aiff, zero, a name behind": changed(AIFF, (4, bytes(4)), (SSND, bytes(4)), (COMM, bytes(4)))
    + chunk(b"NAME", b"abcd", ">I"),
    "no data, LIST behind": wav(0, 0) + LIST,
    "all ones, LIST behind": wav(ALL, ALL) + LIST,
    "the greatest signed, LIST behind": wav(0x7FFFFFFF, 0x7FFFFFFF) + LIST,
    "longer than the file, LIST behind": wav(36 + SIZE, SIZE + 1000) + LIST,
    "no data, chunks in a LIST behind": wav(0, 0) + INFO,
    "no data, several behind": wav(0, 0) + LIST + ID3 + INFO + chunk(b"cue ", bytes(4)),
    "no data, an odd one behind": wav(0, 0) + INFO + chunk(b"id3 ", b"xxxxx", filled=False),
    "no data, an odd one in between": wav(0, 0) + chunk(b"id3 ", b"xxxxx", filled=False) + LIST,
    "no data, much before": wav(0, 0, chunk(b"JUNK", bytes(200_000))) + LIST,
    "of the first block": wav(36 + 4096, 4096),
    "of the first block, LIST behind": wav(36 + 4096, 4096) + LIST,
    "right, zeros behind": wav() + bytes(512),
    "right, another file behind": wav() + wav(),
    "right, ID3v1 behind": wav() + ID3V1,
    "no data, ID3v1 behind": wav(0, 0) + ID3V1,
    "all ones, LIST and ID3v1 behind": wav(ALL, ALL) + LIST + ID3V1,
    "rf64, zero, ID3v1 behind": rf64(0, 0, 0) + ID3V1,
    "aiff, zero, ID3v1 behind": changed(AIFF, (4, bytes(4)), (SSND, bytes(4)), (COMM, bytes(4)))
    + ID3V1,
    "right, ID3v2 before": id3v2(0) + wav(),
    "right, a long ID3v2 before, ID3v1 behind": id3v2(300_000) + wav() + ID3V1,
    "no data, ID3v2 before": id3v2(257) + wav(0, 0) + LIST,
    "right, ID3v2 with a footer before": id3v2(20, footer=True) + wav(),
    "rf64, ID3v2 before": id3v2(127) + rf64(100 + SIZE, SIZE, len(SOUND)),
    "w64, zero, ID3v2 before": id3v2(128) + changed(W64, (16, bytes(8)), (W64_DATA, bytes(8))),
    "aiff, ID3v2 before": id3v2(5) + AIFF,
    "rf64, zero, LIST behind": rf64(0, 0, 0) + LIST,
    "rf64, its size in 32 bits": rf64(0, 0, 0, data=SIZE) + LIST,
    "rf64, JUNK before": rf64(0, 0, 0, junk=200_000) + LIST,
    "caf, ones": changed(CAF, (CAF_DATA, b"\xff" * 8)),
}  # fmt: skip


@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_all_samples_are_read_whatever_the_header_says(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    for source in (tmp_path / "a.wav", io.BytesIO(content)):
        assert np.array_equal(read_audio(source), SOUND.astype(np.float32) / 32768)


@pytest.mark.parametrize("depth", [8, 24, 32])
def test_unfilled_sizes_at_other_depths(depth: int) -> None:
    width = depth // 8
    rounded = np.rint(SOUND / 256) * 256 if depth == 8 else SOUND  # cut off, it had an offset
    shifted = (rounded.astype(np.int32) << 16).tobytes()
    body = np.frombuffer(shifted, np.uint8).reshape(-1, 4)[:, 4 - width :]
    if depth == 8:
        body = body ^ 0x80  # eight bits are without sign
    fmt = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, width * SAMPLE_RATE, width, depth)
    read = read_audio(io.BytesIO(wav(0, 0, fmt=fmt, body=body.tobytes())))
    assert np.abs(read - SOUND / 32768).max() < 2.0 ** (2 - depth)


NOTHING = [wav(36, 0, body=b""), wav(0, 0, body=b""), wav(0, 0)[:30], wav(0, 0, body=b"") + INFO]


@pytest.mark.parametrize("content", NOTHING)
def test_empty_files_have_no_samples(content: bytes) -> None:
    with pytest.raises(InputError, match=r"no audio|cannot be decoded"):
        read_audio(io.BytesIO(content))


def test_the_other_byte_order_is_rejected_and_not_read_as_noise() -> None:
    fmt = chunk(b"fmt ", struct.pack(">HHIIHH", 1, 1, SAMPLE_RATE, SIZE, 2, 16), ">I")
    sound = chunk(b"data", SOUND.astype(">i2").tobytes(), ">I")
    content = b"RIFX" + struct.pack(">I", 36 + SIZE) + b"WAVE" + fmt + sound
    with pytest.raises(InputError, match="RIFX"):
        read_audio(io.BytesIO(content))


def test_endless_chunks_after_the_audio_take_no_time() -> None:
    content = wav(0, 0) + chunk(b"JUNK", b"") * 100_000
    # not of the clock: the machine may be busy
    started = time.process_time()
    assert len(read_audio(io.BytesIO(content))) >= len(SOUND)
    assert time.process_time() - started < 5
