"""Streaming audio encoding and time stretching."""

import struct
from fractions import Fraction
from typing import Any

import av
import av.filter
import numpy as np

from data.audio.pcm import to_bytes, to_int16
from data.errors import InputError

FORMATS = ("wav", "flac", "mp3", "opus", "aac", "pcm")
_CODECS = {
    "mp3": ("mp3", "libmp3lame"),
    "opus": ("ogg", "libopus"),
    "aac": ("adts", "aac"),
    "flac": ("flac", "flac"),
}
_OPTIONS = {
    "ogg": {"page_duration": "20000"},  # microseconds, one packet; the default holds back a second
    "adts": {"write_id3v2": "1"},
    "mp3": {"write_xing": "0"},  # a header that needs the final length
}
_BITS_A_SECOND = 64_000
_FLAC_SAMPLES = "960"  # per frame; the default would buffer two and a half chunks of speech
_UNKNOWN = 0xFFFFFFFF  # size field of a streamed WAV header


class StreamEncoder:
    """Streaming encoder of mono samples [n], float, -1 to 1; its outputs concatenate to one file.

    The length is unknown when the header is sent: WAV states the maximum size, FLAC the "unknown"
    of its STREAMINFO. Players, browsers and FFmpeg accept both; libsndfile rejects such a FLAC.

    Close it, or use it in a `with`, even after `finish`.

    Args:
        format: one of `FORMATS`.
        sample_rate: Hz; one that all formats support (8, 12, 16, 24 or 48 kHz).
        comment: for the file's tags (LIST/INFO, ID3, Vorbis comments); PCM has none.
    """

    def __init__(self, format: str, sample_rate: int, comment: str = "") -> None:
        if format not in FORMATS:
            raise InputError(f"unknown audio format {format!r}; choose one of {', '.join(FORMATS)}")
        self._rate, self._count = sample_rate, 0
        self._sink = _Sink()
        self._output: Any = None
        if format == "wav":
            self._sink.write(_wav_header(sample_rate, comment))
        elif format in _CODECS:
            container, codec = _CODECS[format]
            options = {"flush_packets": "1", **_OPTIONS.get(container, {})}
            self._output = av.open(self._sink, "w", format=container, options=options)
            if comment:
                self._output.metadata["comment"] = comment
            self._stream: Any = self._output.add_stream(codec, rate=sample_rate)
            _open(self._stream.codec_context)

    def __enter__(self) -> "StreamEncoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def push(self, samples: np.ndarray) -> bytes:
        """Takes samples [n]; returns the bytes ready so far, possibly none."""
        pcm = to_int16(samples)
        if self._output is None:
            self._sink.write(to_bytes(pcm))
        elif len(pcm):
            frame = _frame(pcm[None, :], "s16", self._rate, self._count)
            self._count += len(pcm)
            self._output.mux(self._stream.encode(frame))  # cut to the codec's frames in there
        return self._sink.take()

    def finish(self) -> bytes:
        """Returns the remaining bytes and closes the encoder."""
        if self._output is not None:
            self._output.mux(self._stream.encode(None))
        self.close()
        return self._sink.take()

    def close(self) -> None:
        """Frees codec, container and FFmpeg's threads; idempotent."""
        if self._output is not None:
            self._output.close()
            self._output = self._stream = None


class TempoStream:
    """Streaming time stretching of mono float32 samples [n] at constant pitch (WSOLA, FFmpeg's
    `atempo`); `tempo` is 0.5 to 100."""

    def __init__(self, tempo: float, sample_rate: int) -> None:
        self._rate = sample_rate
        self._count = 0
        self._graph: Any = None
        if tempo != 1.0:
            self._graph = graph = av.filter.Graph()
            graph.threads = 1  # the default is one per core for every listener
            source = graph.add_abuffer(
                sample_rate=sample_rate,
                format="flt",
                layout="mono",
                time_base=Fraction(1, sample_rate),
            )
            change = graph.add("atempo", f"{tempo:.6f}")
            sink = graph.add("abuffersink")
            source.link_to(change)
            change.link_to(sink)
            graph.configure()

    def push(self, samples: np.ndarray) -> np.ndarray:
        """Takes samples [n]; returns what is ready [m]."""
        if self._graph is None or not len(samples):
            return samples
        flat = np.ascontiguousarray(samples, np.float32)[None, :]
        self._graph.push(_frame(flat, "flt", self._rate, self._count))
        self._count += len(samples)
        return self._pull()

    def finish(self) -> np.ndarray:
        """Returns the rest; nothing may be pushed afterwards."""
        if self._graph is None or not self._count:
            return np.zeros(0, np.float32)
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> np.ndarray:
        pieces = [np.zeros(0, np.float32)]
        while True:
            try:
                pieces.append(self._graph.pull().to_ndarray()[0])
            except (av.BlockingIOError, av.EOFError):
                return np.concatenate(pieces)


class _Sink:
    """FFmpeg's output; not seekable, so that it never rewrites a header."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, content: bytes) -> int:
        self._bytes += content
        return len(content)

    def take(self) -> bytes:
        content, self._bytes = bytes(self._bytes), bytearray()
        return content


def _open(context: Any) -> None:
    """Opens a single-threaded mono encoder."""
    context.layout = "mono"
    context.thread_count = 1
    if context.name == "flac":
        context.format = "s16"
        context.options = {"frame_size": _FLAC_SAMPLES}
    else:
        context.bit_rate = _BITS_A_SECOND
    context.open()


def _frame(samples: np.ndarray, format: str, sample_rate: int, start: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples, format=format, layout="mono")
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    frame.pts = start
    return frame


def _wav_header(sample_rate: int, comment: str) -> bytes:
    form = struct.pack("<4sI4s", b"RIFF", _UNKNOWN, b"WAVE")
    kind = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    text = comment.encode() + b"\0"
    text += b"\0" * (len(text) % 2)  # chunks are aligned to two bytes
    info = struct.pack("<4sI4s4sI", b"LIST", 12 + len(text), b"INFO", b"ICMT", len(text)) + text
    data = struct.pack("<4sI", b"data", _UNKNOWN)
    return form + kind + (info if comment else b"") + data
