"""Samples to the bytes of a file while they come, and faster or slower at the same pitch."""

import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np

from data.audio.pcm import to_int16
from data.audio.writing import FORMATS, LOSSY, encode_audio
from data.errors import InputError

_OPTIONS = {"ogg": {"page_duration": "200000"}}  # microseconds; the default holds back a second
_BITS_A_SECOND = 64_000
_UNKNOWN = 0xFFFFFFFF  # the size in a WAV header of which the end is not known yet


class StreamEncoder:
    """Mono samples [n], float, -1 to 1, to bytes. All pieces joined are a file of the format.

    WAV has no sizes in its header: nobody knows them when it is sent. FLAC comes whole at the end,
    since libsndfile, and so most of Python, reads none without its length.

    Args:
        format: one of `FORMATS`.
        sample_rate: in Hz; one that all formats know (8, 12, 16, 24 or 48 kHz).
    """

    def __init__(self, format: str, sample_rate: int) -> None:
        if format not in FORMATS:
            raise InputError(f"unknown audio format {format!r}; choose one of {', '.join(FORMATS)}")
        self._rate, self._whole = sample_rate, format == "flac"
        self._sink, self._kept = _Sink(), [np.zeros(0, np.int16)]
        self._output: Any = None
        self._bare = format == "mp3"  # its frames are the file; FFmpeg's muxer would hold them back
        if format == "wav":
            self._sink.write(_wav_header(sample_rate))
        elif format in LOSSY:
            container, codec = LOSSY[format]
            options = {"flush_packets": "1", **_OPTIONS.get(container, {})}
            self._output = av.open(self._sink, "w", format=container, options=options)
            self._stream: Any = self._output.add_stream(codec, rate=sample_rate)
            context = self._stream.codec_context
            context.layout = "mono"
            context.bit_rate = _BITS_A_SECOND
            context.open()
            self._frames = av.AudioResampler(
                format=context.format,
                layout="mono",
                rate=sample_rate,
                frame_size=context.frame_size or 0,
            )
        self._count = 0

    def push(self, samples: np.ndarray) -> bytes:
        """Takes samples [n]; returns what is ready, which may be nothing."""
        pcm = to_int16(samples)
        if self._whole:
            self._kept.append(pcm)
        elif self._output is None:
            self._sink.write(pcm.astype("<i2").tobytes())
        elif len(pcm):
            frame = _frame(pcm[None, :], "s16", self._rate, self._count)
            self._count += len(pcm)
            self._encode(self._frames.resample(frame))
        return self._sink.take()

    def finish(self) -> bytes:
        """Returns the rest; nothing may be pushed afterwards."""
        if self._whole:
            return encode_audio(np.concatenate(self._kept), self._rate, "flac")
        if self._output is not None:
            if self._count:
                self._encode(self._frames.resample(None))
            self._write(self._stream.encode(None))
            if not self._bare:
                self._output.close()
        return self._sink.take()

    def _encode(self, frames: list[Any]) -> None:
        for frame in frames:
            self._write(self._stream.encode(frame))

    def _write(self, packets: list[Any]) -> None:
        if self._bare:
            for packet in packets:
                self._sink.write(bytes(packet))
        else:
            self._output.mux(packets)


class TempoStream:
    """Mono samples [n], float32, `tempo` times as fast, at the same pitch (WSOLA, FFmpeg's
    `atempo`); 0.5 to 100."""

    def __init__(self, tempo: float, sample_rate: int) -> None:
        self._rate = sample_rate
        self._count = 0
        self._graph: Any = None
        if tempo != 1.0:
            self._graph = graph = av.filter.Graph()
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
    """What FFmpeg writes to: it cannot seek, so nothing is written twice."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, content: bytes) -> int:
        self._bytes += content
        return len(content)

    def take(self) -> bytes:
        content, self._bytes = bytes(self._bytes), bytearray()
        return content


def _frame(samples: np.ndarray, format: str, sample_rate: int, start: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(samples, format=format, layout="mono")
    frame.sample_rate = sample_rate
    frame.time_base = Fraction(1, sample_rate)
    frame.pts = start
    return frame


def _wav_header(sample_rate: int) -> bytes:
    form = struct.pack("<4sI4s", b"RIFF", _UNKNOWN, b"WAVE")
    kind = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return form + kind + struct.pack("<4sI", b"data", _UNKNOWN)
