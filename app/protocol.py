"""Shared parts of both WebSocket protocols: JSON, audio, errors and rate limits."""

import json
import struct
from typing import Any

import numpy as np

from app.active_reply import AudioChunk
from data.audio.pcm import from_bytes, to_bytes
from data.text import valid_text

PROTOCOL = 1
SAMPLE_RATE = 24_000
MAX_TEXT_BYTES = 16_384
MAX_SOUND_BYTES = 2 * SAMPLE_RATE // 2  # half a second of int16
_HEADER = struct.Struct("<II")
_MAX_DIGITS = 18


class ProtocolError(Exception):
    """An invalid message.

    Attributes:
        code: machine-readable code.
        fatal: whether the connection is closed.
        param: dotted path of the invalid field, if any.
    """

    def __init__(
        self, code: str, message: str, fatal: bool = False, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.fatal, self.param = code, fatal, param


def read_object(text: str) -> dict[str, Any]:
    """Parses one JSON object from a client. Texts become valid Unicode, and integers with too many
    digits become floats, for field validation to reject by name.

    Raises:
        ProtocolError: it is not one JSON object.
    """
    try:
        found = _valid(json.loads(text, parse_int=_number))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProtocolError("not_json", "a text message must be one JSON object")
    return found


def write_object(message: dict[str, Any]) -> str:
    """Serialises a message to a client as ASCII JSON, so that any text can be sent. NaN and
    infinity become null."""
    try:
        return json.dumps(message, allow_nan=False)
    except ValueError:
        return json.dumps(json.loads(json.dumps(message), parse_constant=lambda _: None))


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return valid_text(value)
    if isinstance(value, list):
        return [_valid(one) for one in value]
    if isinstance(value, dict):
        return {valid_text(name): _valid(one) for name, one in value.items()}
    return value


def read_sound(content: bytes) -> np.ndarray:
    """Parses a client's binary message, int16 little-endian mono at 24 kHz, to float32 [n].

    Raises:
        ProtocolError: empty, odd or too long.
    """
    if not content or len(content) % 2:
        raise ProtocolError(
            "bad_sound", f"a sound message has {len(content)} bytes; it holds 16-bit samples"
        )
    if len(content) > MAX_SOUND_BYTES:
        raise ProtocolError(
            "too_large",
            f"a sound message has {len(content)} bytes; send 20 to 40 ms, at most 500 ms "
            f"({MAX_SOUND_BYTES} bytes)",
        )
    return from_bytes(content)


def write_audio_chunk(sound: AudioChunk) -> bytes:
    """A server's binary message: reply and first sample as uint32, then int16 samples."""
    return _HEADER.pack(sound.reply, sound.start) + to_bytes(sound.samples)


def parse_audio_chunk(content: bytes) -> AudioChunk:
    """The inverse of `write_audio_chunk`, for Python clients."""
    reply, start = _HEADER.unpack_from(content)
    return AudioChunk(reply, start, from_bytes(content[_HEADER.size :]))


class RateLimit:
    """A token bucket: `burst` units at once, then `per_s` per second."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst, self._level = per_s, burst, 0.0
        self._at: float | None = None

    def allows(self, amount: float, now: float) -> bool:
        """Whether `amount` is allowed now; if so, it is consumed."""
        self._drain(now)
        if self._level + amount > self._burst:
            return False
        self._level += amount
        return True

    def wait_s(self, amount: float, now: float) -> float:
        """Consumes `amount` and returns the delay, s, until it is within the limit."""
        self._drain(now)
        self._level += amount
        return max(0.0, (self._level - self._burst) / self._per_s)

    def _drain(self, now: float) -> None:
        if self._at is not None:
            self._level = max(0.0, self._level - (now - self._at) * self._per_s)
        self._at = now
