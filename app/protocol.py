"""Messages of the conversation's WebSocket, checked. `PROTOCOL.md` is the description."""

import json
import math
import struct
from typing import Any

import numpy as np

from app.speaking import Sound
from data.audio.pcm import from_bytes, to_bytes
from data.limits import MAX_TYPED
from data.text import valid_text

PROTOCOL = 1
SAMPLE_RATE = 24_000
MAX_TEXT_BYTES = 16_384
MAX_SOUND_BYTES = 2 * SAMPLE_RATE // 2  # half a second of int16
_HEADER = struct.Struct("<II")
_MAX_DIGITS = 18

# Each message: its fields with what they may be. A field that is not named here is refused.
_NUMBER, _COUNT, _TEXT, _FLAG = (int, float), int, str, bool
_NULLABLE = (int, float, type(None))
_FIELDS: dict[str, dict[str, Any]] = {
    "start": {"protocol": _COUNT, "sample_rate": _COUNT, "session": _TEXT, "settings": dict},
    "settings": {"settings": dict},
    "text": {"text": _TEXT},
    "stop": {},
    "playback": {
        "reply": _COUNT,
        "played": _COUNT,
        "finished": _FLAG,
        "stopped": _FLAG,
        "underruns": _COUNT,
    },
    "measured": {"reply": _COUNT, "first_audio_ms": _NUMBER},
    "ping": {"at": _NUMBER},
    "end": {},
}
_NEEDED = {
    "start": ("protocol", "sample_rate"),
    "settings": ("settings",),
    "text": ("text",),
    "playback": ("reply", "played"),
    "measured": ("reply", "first_audio_ms"),
}
_SETTINGS: dict[str, Any] = {
    "voice": _TEXT,
    "predictor": _TEXT,
    "responder": _TEXT,
    "temperature": _NULLABLE,
    "rate": _NUMBER,
    "interrupt": _FLAG,
    "silence_ms": _COUNT,
    "detection": _TEXT,
    "eagerness": _TEXT,
    "system_prompt": _TEXT,
    "reopen_ms": _COUNT,
    "interrupt_ms": _COUNT,
    "aggressiveness": _COUNT,
}


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


def read_message(text: str) -> dict[str, Any]:
    """A client's text message, checked.

    Raises:
        ProtocolError: what is wrong with it.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise ProtocolError("too_large", f"a text message may have {MAX_TEXT_BYTES} bytes")
    message = read_object(text)
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ProtocolError(
            "unknown_type", f"type is {kind!r:.60}; expected one of {', '.join(_FIELDS)}"
        )
    fields = {name: value for name, value in message.items() if name != "type"}
    _check(kind, fields, _FIELDS[kind])
    for name in _NEEDED.get(kind, ()):
        if name not in fields:
            raise ProtocolError("missing_field", f"{kind!r} needs {name!r}")
    if "settings" in fields:
        _check("settings", fields["settings"], _SETTINGS)
    _check_values(kind, fields)
    return {"type": kind, **fields}


def _check(kind: str, fields: dict[str, Any], known: dict[str, Any]) -> None:
    """Checks types and ranges; takes out what is null, which is as if absent."""
    for name, value in list(fields.items()):
        if name not in known:
            raise ProtocolError("unknown_field", f"{kind!r} has no field {name!r:.60}")
        wanted = known[name]
        if value is None and wanted is not _NULLABLE:
            del fields[name]
            continue
        is_flag = isinstance(value, bool)
        if not isinstance(value, wanted) or (is_flag and wanted is not _FLAG):
            raise ProtocolError("wrong_type", f"{name!r} of {kind!r} is {value!r:.60}")
        if isinstance(value, (int, float)) and not (math.isfinite(value) and -1e9 <= value <= 1e12):
            raise ProtocolError("out_of_range", f"{name!r} of {kind!r} is {value!r:.60}")


def _check_values(kind: str, fields: dict[str, Any]) -> None:
    if kind == "start":
        if fields["protocol"] != PROTOCOL:
            raise ProtocolError(
                "wrong_protocol", f"protocol is {fields['protocol']}; this is {PROTOCOL}", True
            )
        if fields["sample_rate"] != SAMPLE_RATE:
            raise ProtocolError(
                "wrong_rate",
                f"sample_rate is {fields['sample_rate']}; send 16-bit mono at {SAMPLE_RATE}",
                True,
            )
    if kind == "text":
        text = fields["text"].strip()
        if not text or len(text) > MAX_TYPED:
            raise ProtocolError(
                "out_of_range", f"'text' has {len(text)} characters; 1 to {MAX_TYPED} are accepted"
            )
    for name in ("reply", "played", "underruns"):
        if name in fields and fields[name] < 0:
            raise ProtocolError("out_of_range", f"{name!r} is {fields[name]}; it counts from 0")
    if kind == "measured" and not 0 <= fields["first_audio_ms"] <= 120_000:
        raise ProtocolError("out_of_range", "'first_audio_ms' must be from 0 to 120000")


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
        if self._at is not None:
            self._level = max(0.0, self._level - (now - self._at) * self._per_s)
        self._at = now
        if self._level + amount > self._burst:
            return False
        self._level += amount
        return True
