"""Audio formats of the realtime API: 16-bit PCM at 24 kHz, or G.711 at 8 kHz."""

import io

import numpy as np
import soundfile

from app.protocol import SAMPLE_RATE, ProtocolError
from data.audio import StreamResampler
from data.audio.pcm import from_bytes, to_bytes

PCM = "audio/pcm"
_G711_HZ = 8_000
_LAWS = {"audio/pcmu": "ULAW", "audio/pcma": "ALAW"}  # as libsndfile calls them
FORMATS = {
    PCM: PCM,
    "pcm16": PCM,
    "audio/pcmu": "audio/pcmu",
    "g711_ulaw": "audio/pcmu",
    "audio/pcma": "audio/pcma",
    "g711_alaw": "audio/pcma",
}
"""Format names, including those of the beta API."""


def public_format(kind: str) -> dict[str, object]:
    """The format as it appears in a session object."""
    return {"type": kind, "rate": SAMPLE_RATE} if kind == PCM else {"type": kind}


class SoundReader:
    """Streaming decoder of one format to float32 `[n]` at 24 kHz."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._resampler = StreamResampler(_G711_HZ, SAMPLE_RATE)

    def read(self, content: bytes) -> np.ndarray:
        """The next samples; G.711 buffers a few milliseconds until `flush`.

        Raises:
            ProtocolError: the bytes are empty or end within a sample.
        """
        if not content or (self.kind == PCM and len(content) % 2):
            raise ProtocolError(
                "bad_sound",
                f"audio has {len(content)} bytes; send whole samples of {self.kind}",
                param="audio",
            )
        if self.kind == PCM:
            return from_bytes(content)
        samples, _ = soundfile.read(
            io.BytesIO(content),
            dtype="float32",
            samplerate=_G711_HZ,
            channels=1,
            format="RAW",
            subtype=_LAWS[self.kind],
        )
        return self._resampler.push(samples)

    def flush(self) -> np.ndarray:
        """The buffered samples."""
        return self._resampler.flush() if self.kind != PCM else np.zeros(0, np.float32)


class SoundWriter:
    """Streaming encoder of float32 `[n]` at 24 kHz to one format."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._resampler = StreamResampler(SAMPLE_RATE, _G711_HZ)

    def write(self, samples: np.ndarray) -> bytes:
        """The next bytes; G.711 buffers a few milliseconds until `flush`."""
        if self._kind == PCM:
            return to_bytes(samples)
        return self._g711(self._resampler.push(samples))

    def flush(self) -> bytes:
        """The buffered bytes."""
        return b"" if self._kind == PCM else self._g711(self._resampler.flush())

    def _g711(self, samples: np.ndarray) -> bytes:
        content = io.BytesIO()
        soundfile.write(
            content,
            np.clip(samples, -1, 1),
            _G711_HZ,
            format="RAW",
            subtype=_LAWS[self._kind],
        )
        return content.getvalue()
