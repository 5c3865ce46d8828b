"""What both WebSockets share: JSON objects, sound, errors and limits of rate."""

import json
import struct
from typing import Any

import numpy as np

from app.speaking import Sound
from data.audio.pcm import from_bytes, to_bytes
from data.text import valid_text

PROTOCOL = 1
SAMPLE_RATE = 24_000
MAX_TEXT_BYTES = 16_384
MAX_SOUND_BYTES = 2 * SAMPLE_RATE // 2  # half a second of int16
_HEADER = struct.Struct("<II")
_MAX_DIGITS = 18


class ProtocolError(Exception):
    """A message that cannot be used.

    Attributes:
        code: for programs.
        fatal: whether the connection ends.
        param: the field at fault, as a path with dots, where there is one.
    """

    def __init__(
        self, code: str, message: str, fatal: bool = False, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.fatal, self.param = code, fatal, param


def read_object(text: str) -> dict[str, Any]:
    """One JSON object from a client. Every text in it is valid Unicode, every integer short: what
    has more digits than any field takes becomes a float, for the checks of the fields to name.

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
    """A message to a client as JSON, in ASCII, so that whatever it holds can be sent. A number that
    JSON does not have (NaN, infinity) becomes null."""
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
    """A client's binary message: int16 little-endian mono at 24 kHz, to float32 [n].

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


def write_sound(sound: Sound) -> bytes:
    """A server's binary message: reply and first sample as uint32, then int16 samples."""
    return _HEADER.pack(sound.reply, sound.start) + to_bytes(sound.samples)


def parse_sound(content: bytes) -> Sound:
    """The other side of `write_sound`, for clients in Python."""
    reply, start = _HEADER.unpack_from(content)
    return Sound(reply, start, from_bytes(content[_HEADER.size :]))


class RateLimit:
    """A bucket: `burst` units at once, then `per_s` a second."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst, self._level = per_s, burst, 0.0
        self._at: float | None = None

    def allows(self, amount: float, now: float) -> bool:
        """Whether `amount` more may come now; if so, it is counted."""
        self._drain(now)
        if self._level + amount > self._burst:
            return False
        self._level += amount
        return True

    def wait_s(self, amount: float, now: float) -> float:
        """Counts `amount` more, and says after how many seconds it may come."""
        self._drain(now)
        self._level += amount
        return max(0.0, (self._level - self._burst) / self._per_s)

    def _drain(self, now: float) -> None:
        if self._at is not None:
            self._level = max(0.0, self._level - (now - self._at) * self._per_s)
        self._at = now
