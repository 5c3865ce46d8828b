"""Sound as the realtime interface carries it: 16-bit PCM at 24 kHz, or G.711 at 8 kHz."""

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
"""Names of formats, those of the beta interface among them."""


def public_format(kind: str) -> dict[str, object]:
    """The format as a session object shows it."""
    return {"type": kind, "rate": SAMPLE_RATE} if kind == PCM else {"type": kind}


class SoundReader:
    """Bytes of one format, in pieces, to float32 `[n]` at 24 kHz."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._resampler = StreamResampler(_G711_HZ, SAMPLE_RATE)

    def read(self, content: bytes) -> np.ndarray:
        """The next samples; of G.711 a few milliseconds are held back until `flush`.

        Raises:
            ProtocolError: they are not whole samples, or there are none.
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
        """The samples that were held back."""
        return self._resampler.flush() if self.kind != PCM else np.zeros(0, np.float32)


class SoundWriter:
    """Float32 `[n]` at 24 kHz, in pieces, to bytes of one format."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._resampler = StreamResampler(SAMPLE_RATE, _G711_HZ)

    def write(self, samples: np.ndarray) -> bytes:
        """The next bytes; of G.711 a few milliseconds are held back until `flush`."""
        if self._kind == PCM:
            return to_bytes(samples)
        return self._g711(self._resampler.push(samples))

    def flush(self) -> bytes:
        """The bytes that were held back."""
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
