"""Audio input and output: reading, resampling, writing.

Internally audio is float32, mono, -1 to 1, at 24,000 Hz; it is resampled once, on input.
"""

from data.audio.encoding import StreamEncoder, TempoStream
from data.audio.marking import SYNTHETIC_HEADERS, mark_of
from data.audio.reading import audio_blocks, read_audio
from data.audio.resampling import SAMPLE_RATE, StreamResampler, resample
from data.audio.writing import FORMATS, encode_audio, prepare_audio_file, write_audio

__all__ = [
    "FORMATS",
    "SAMPLE_RATE",
    "SYNTHETIC_HEADERS",
    "StreamEncoder",
    "StreamResampler",
    "TempoStream",
    "audio_blocks",
    "encode_audio",
    "mark_of",
    "prepare_audio_file",
    "read_audio",
    "resample",
    "write_audio",
]
