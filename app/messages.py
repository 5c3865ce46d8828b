"""Client messages on the conversation WebSocket; see `PROTOCOL.md`."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from app.protocol import MAX_TEXT_BYTES, PROTOCOL, SAMPLE_RATE, ProtocolError, read_object
from data.limits import MAX_TYPED

_LOWEST, _HIGHEST = -1e9, 1e12


def _within(value: float) -> float:
    """Finite, and small enough for any arithmetic."""
    if not _LOWEST <= value <= _HIGHEST:
        raise PydanticCustomError("out_of_range", "")
    return value


Number = Annotated[int | float, AfterValidator(_within)]
Integer = Annotated[int, AfterValidator(_within)]
Count = Annotated[Integer, Field(ge=0)]


class _Strict(BaseModel):
    """Strict types, no unknown fields; null counts as absent."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Settings(_Strict):
    """Settings that a client may change; `app.api.choosing` validates the values."""

    voice: str = ""
    predictor: str = ""
    responder: str = ""
    temperature: Number | None = None  # null: the models' default
    rate: Number = 1
    interrupt: bool = True
    silence_ms: Integer = 0
    detection: str = ""
    eagerness: str = ""
    system_prompt: str = ""
    language: str = ""
    reopen_ms: Integer = 0
    interrupt_ms: Integer = 0
    aggressiveness: Integer = 0


class Start(_Strict):
    """The first message."""

    protocol: Integer
    sample_rate: Integer
    session: str = ""
    settings: Settings = Settings()


class ChangeSettings(_Strict):
    settings: Settings


class Text(_Strict):
    """A turn that was typed."""

    text: str


class Stop(_Strict):
    """Silences the agent."""


class Playback(_Strict):
    """How much of a reply was played, in samples."""

    reply: Count
    played: Count
    finished: bool = False
    stopped: bool = False
    underruns: Count = 0


class Measured(_Strict):
    """A latency measured by the page."""

    reply: Count
    first_audio_ms: Annotated[Number, Field(ge=0, le=120_000)]


class Ping(_Strict):
    at: Number = 0


class End(_Strict):
    """Ends the session."""


MESSAGES: dict[str, type[_Strict]] = {
    "start": Start,
    "settings": ChangeSettings,
    "text": Text,
    "stop": Stop,
    "playback": Playback,
    "measured": Measured,
    "ping": Ping,
    "end": End,
}


def read_message(text: str) -> dict[str, Any]:
    """A validated text message: its type and the fields that were set.

    Raises:
        ProtocolError: it is invalid.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise ProtocolError("too_large", f"a text message may have at most {MAX_TEXT_BYTES} bytes")
    message = read_object(text)
    kind = message.pop("type", None)
    if not isinstance(kind, str) or kind not in MESSAGES:
        raise ProtocolError(
            "unknown_type", f"type is {kind!r:.60}; expected one of {', '.join(MESSAGES)}"
        )
    given = _without_nulls(message, MESSAGES[kind])
    try:
        fields = MESSAGES[kind].model_validate(given).model_dump(exclude_unset=True)
    except ValidationError as invalid:
        raise _refusal(kind, given, invalid) from None
    _check_values(kind, fields)
    return {"type": kind, **fields}


def _without_nulls(given: dict[str, Any], kind: type[_Strict]) -> dict[str, Any]:
    fields = kind.model_fields
    kept = {
        name: value
        for name, value in given.items()
        if value is not None or name not in fields or name == "temperature"
    }
    settings = kept.get("settings")
    if isinstance(settings, dict) and "settings" in fields:
        kept["settings"] = _without_nulls(settings, Settings)
    return kept


_RANGE = ("greater_than_equal", "less_than_equal")


def _refusal(kind: str, given: dict[str, Any], invalid: ValidationError) -> ProtocolError:
    """The first error in the order of the message's fields, with missing fields after wrong ones
    and settings last."""

    def place(error: ErrorDetails) -> tuple[str, dict[str, Any], str]:
        """Whose field it is, the fields there, and its name; a union adds to `loc` what failed."""
        first, *rest = map(str, error["loc"])
        inside = given.get("settings")
        if first == "settings" and rest and isinstance(inside, dict):
            return "settings", inside, rest[0]
        return kind, given, first

    def rank(error: ErrorDetails) -> tuple[bool, bool, bool, int]:
        _, fields, name = place(error)
        wrong = error["type"]
        order = list(fields).index(name) if name in fields else 0
        return wrong in _RANGE, fields is not given, wrong == "missing", order

    error = min(invalid.errors(include_url=False), key=rank)
    kind, _, name = place(error)
    value, wrong = error["input"], error["type"]
    if wrong == "extra_forbidden":
        return ProtocolError("unknown_field", f"{kind!r} has no field {name!r:.60}")
    if wrong == "missing":
        return ProtocolError("missing_field", f"{kind!r} needs {name!r}")
    if wrong in _RANGE and name == "first_audio_ms":
        return ProtocolError("out_of_range", "'first_audio_ms' must be from 0 to 120000")
    if wrong in _RANGE:
        return ProtocolError("out_of_range", f"{name!r} is {value}; it counts from 0")
    code = "out_of_range" if wrong == "out_of_range" else "wrong_type"
    return ProtocolError(code, f"{name!r} of {kind!r} is {value!r:.60}")


def _check_values(kind: str, fields: dict[str, Any]) -> None:
    if kind == "start" and fields["protocol"] != PROTOCOL:
        message = f"protocol is {fields['protocol']}; this is {PROTOCOL}"
        raise ProtocolError("wrong_protocol", message, fatal=True)
    if kind == "start" and fields["sample_rate"] != SAMPLE_RATE:
        message = f"sample_rate is {fields['sample_rate']}; send 16-bit mono at {SAMPLE_RATE}"
        raise ProtocolError("wrong_rate", message, fatal=True)
    if kind == "text" and not 1 <= (length := len(fields["text"].strip())) <= MAX_TYPED:
        message = f"'text' has {length} characters; 1 to {MAX_TYPED} are accepted"
        raise ProtocolError("out_of_range", message)
