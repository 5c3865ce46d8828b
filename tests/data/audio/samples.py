"""Half a second of noise in each kind of file that PyAV writes."""

import functools
import io

import av
import numpy as np

KINDS = {
    "wav": ("wav", "pcm_s16le", 24_000),
    "float": ("wav", "pcm_f32le", 24_000),
    "adpcm": ("wav", "adpcm_ms", 24_000),
    "w64": ("w64", "pcm_s16le", 24_000),
    "aiff": ("aiff", "pcm_s16be", 24_000),
    "caf": ("caf", "pcm_s16be", 24_000),
    "flac": ("flac", "flac", 24_000),
    "mp3": ("mp3", "libmp3lame", 24_000),
    "ogg": ("ogg", "libopus", 48_000),
    "m4a": ("ipod", "aac", 24_000),
    "mp4": ("mp4", "aac", 24_000),
    "mov": ("mov", "alac", 24_000),
    "mkv": ("matroska", "aac", 24_000),
    "webm": ("webm", "libopus", 48_000),
    "avi": ("avi", "libmp3lame", 24_000),
    "ts": ("mpegts", "aac", 24_000),
    "flv": ("flv", "aac", 44_100),
    "adts": ("adts", "aac", 24_000),
    "ac3": ("ac3", "ac3", 48_000),
    "wv": ("wv", "wavpack", 24_000),
}


@functools.cache
def sample(kind: str) -> bytes:
    """The file."""
    container, codec, rate = KINDS[kind]
    pcm = (3000 * np.random.default_rng(0).standard_normal((1, 12_000))).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
    frame.sample_rate = 24_000
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        size = stream.codec_context.frame_size or 0
        even = av.AudioResampler(stream.codec_context.format, "mono", rate, size)
        for part in [*even.resample(frame), *even.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return buffer.getvalue()


def garbled(kind: str, rng: np.random.Generator) -> bytes:
    """The file cut off, or some bytes of it changed, lost, or made the greatest or least."""
    made = bytearray(sample(kind))
    way = int(rng.integers(5))
    if way == 0:
        return bytes(made[: rng.integers(1, len(made))])
    if way == 1:  # in its header
        for at in rng.integers(0, min(len(made), 300), 5):
            made[at] = rng.integers(256)
    elif way == 2:  # anywhere
        for at in rng.integers(0, len(made), 40):
            made[at] = rng.integers(256)
    elif way == 3:
        at = int(rng.integers(len(made)))
        del made[at : at + int(rng.integers(1, 200))]
    else:
        at = int(rng.integers(min(200, len(made) - 4)))
        numbers = (b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f")
        made[at : at + 4] = numbers[int(rng.integers(4))]
    return bytes(made)
