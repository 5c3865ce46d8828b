"""Schemas of the settings that realtime clients may send, in the beta and the current protocol;
`realtime_settings` applies them."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from app.api.audio_formats import FORMATS, PCM
from app.protocol import SAMPLE_RATE, ProtocolError
from data.limits import MAX_INSTRUCTIONS

MAX_OUTPUT_TOKENS = 4096
MAX_TOOLS = 128
_G711_HZ = 8_000


class Given(NamedTuple):
    """A field set by a client: its current path, its value, and the client's name for it."""

    path: str
    value: Any
    param: str


class Fields(BaseModel):
    """Strict base model: no unknown fields, no type conversion. Null means absent."""

    model_config = ConfigDict(extra="forbid", strict=True)


def _unsupported(why: str) -> PydanticCustomError:
    return PydanticCustomError("unsupported", "{why}", {"why": why})


def _only(*allowed: Any) -> AfterValidator:
    """Restricts a field to the values that describe this server's fixed behaviour."""

    def check(value: Any) -> Any:
        if not any(value == one and type(value) is type(one) for one in (None, *allowed)):
            raise _unsupported(f"only {' or '.join(map(repr, allowed)) or 'null'} is supported")
        return value

    return AfterValidator(check)


def _spoken(kinds: list[str]) -> list[str]:
    if not kinds or set(kinds) - {"audio", "text"}:
        raise _unsupported("use ['audio'] for spoken or ['text'] for written answers")
    return kinds


def _or_inf(value: Any, limited: Any) -> Any:
    return value if value == "inf" else limited(value)


def _chosen(value: Any) -> Any:
    """Parses a tool choice: "auto", "none", "required", or the name in
    `{"type": "function", "name": name}`."""
    if not isinstance(value, dict):
        if isinstance(value, str) and value not in ("auto", "none", "required"):
            raise _unsupported("known: 'auto', 'none', 'required', or a function by name")
        return value
    name = value.get("name")
    if (
        value.get("type") != "function"
        or not isinstance(name, str)
        or set(value) - {"type", "name"}
    ):
        raise _unsupported('give a function as {"type": "function", "name": its name}')
    return name


def _named(value: Any) -> Any:
    """Parses a voice: its name, or `{"id": name}`."""
    inside = value.get("id") if isinstance(value, dict) else None
    return inside if isinstance(inside, str) else value


class _SoundFormat(Fields):
    """An audio format; the beta protocol gives only its type."""

    type: str
    rate: Any = None

    @field_validator("rate")
    @classmethod
    def _own_rate(cls, rate: Any, info: ValidationInfo) -> Any:
        kind = FORMATS.get(info.data.get("type", ""))
        wanted = SAMPLE_RATE if kind == PCM else _G711_HZ
        if kind is not None and rate not in (None, wanted):
            raise _unsupported(f"the sample rate of {kind} is {wanted} Hz")
        return rate

    @model_validator(mode="after")
    def _known(self) -> "_SoundFormat":
        if self.type not in FORMATS:
            raise _unsupported(f"known: {', '.join(FORMATS)}")
        return self


_Format = Annotated[
    _SoundFormat,
    BeforeValidator(lambda value: {"type": value} if isinstance(value, str) else value),
]
_Instructions = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MAX_INSTRUCTIONS)
]
_Count = Annotated[int, Field(ge=1, le=MAX_OUTPUT_TOKENS)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Metadata = dict[
    Annotated[str, Field(max_length=64)],
    Annotated[str, Field(max_length=512)],
]


class Transcription(Fields):
    """Settings of the transcription."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None


class TurnDetection(Fields):
    """Settings of turn detection."""

    type: Literal["server_vad", "semantic_vad"] | None = None
    eagerness: str | None = None
    threshold: Annotated[_Finite, Field(ge=0, le=1)] | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    idle_timeout_ms: Annotated[Any, _only()] = None


class FunctionTool(Fields):
    """A function that the model may call."""

    type: Literal["function"]
    name: Annotated[str, Field(min_length=1, max_length=64)]
    description: Annotated[str, Field(max_length=MAX_INSTRUCTIONS)] | None = None
    parameters: dict[str, Any] | None = None


class _Input(Fields):
    format: _Format | None = None
    noise_reduction: Annotated[Any, _only()] = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = None


class _Output(Fields):
    format: _Format | None = None
    voice: Annotated[str, BeforeValidator(_named)] | None = None
    speed: _Finite | None = None


class _SessionAudio(Fields):
    input: _Input | None = None
    output: _Output | None = None


class _ResponseAudio(Fields):
    input: Annotated[Any, _only()] = None
    output: _Output | None = None


class _SharedFields(Fields):
    """Fields shared by sessions and responses.

    `beta` maps field names of the beta protocol to their current paths.
    """

    beta: ClassVar[dict[str, str]] = {
        "modalities": "output_modalities",
        "voice": "audio.output.voice",
        "speed": "audio.output.speed",
        "output_audio_format": "audio.output.format",
        "max_response_output_tokens": "max_output_tokens",
    }
    output_modalities: Annotated[list[str], AfterValidator(_spoken)] | None = None
    instructions: _Instructions | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: Annotated[str, BeforeValidator(_chosen)] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Annotated[Any, _only()] = None
    temperature: Annotated[_Finite, Field(ge=0, le=2)] | None = None
    max_output_tokens: Annotated[_Count, WrapValidator(_or_inf)] | None = None
    prompt: Annotated[Any, _only()] = None


class SessionFields(_SharedFields):
    """The fields of `session.update`."""

    beta: ClassVar[dict[str, str]] = {
        **_SharedFields.beta,
        "input_audio_format": "audio.input.format",
        "input_audio_transcription": "audio.input.transcription",
        "input_audio_noise_reduction": "audio.input.noise_reduction",
        "turn_detection": "audio.input.turn_detection",
    }
    type: Annotated[Any, _only("realtime", "transcription")] = None
    object: Annotated[Any, _only("realtime.session", "realtime.transcription_session")] = None
    model: str | None = None
    tracing: Annotated[Any, _only("auto")] = (
        None  # accepted and ignored: `session.updated` reports that nothing is traced
    )
    truncation: Annotated[Any, _only("auto")] = None
    include: Annotated[Any, _only([])] = None
    audio: _SessionAudio | None = None


class ResponseFields(_SharedFields):
    """The fields of `response.create`."""

    conversation: Annotated[Any, _only("auto", "none")] = None
    input: list[Any] | None = None
    metadata: Annotated[_Metadata, Field(max_length=16)] | None = None
    audio: _ResponseAudio | None = None


_NULL_SAYS = ("audio.input.transcription", "audio.input.turn_detection")
_GROUPS = (_SessionAudio, _ResponseAudio, _Input, _Output)


def read_fields(kind: type[SessionFields | ResponseFields], given: Any, name: str) -> list[Given]:
    """Validates a client's settings.

    Args:
        kind: the schema.
        given: the client's object.
        name: its name, as prefix of its fields' names in errors.

    Raises:
        ProtocolError: an unknown field or invalid value; `param` is the client's name for it.
    """
    moved, written = _moved(kind, given)
    try:
        fields = kind.model_validate(moved)
    except ValidationError as invalid:
        raise _refusal(invalid.errors(include_url=False)[0], written, name) from None
    return [
        Given(path, value, _param(path.split("."), written, name))
        for path, value in _flat(fields, "")
    ]


def _moved(kind: type[SessionFields | ResponseFields], given: Any) -> tuple[Any, dict[str, str]]:
    """Moves beta fields to their current paths; also returns the beta names by path. If a field is
    given by both names, the current one wins."""
    if not isinstance(given, dict):
        return given, {}
    found = {name: value for name, value in given.items() if name not in kind.beta}
    written = {}
    for name, path in kind.beta.items():
        value = given.get(name)
        if name not in given or (value is None and path not in _NULL_SAYS):
            continue
        *outer, last = path.split(".")
        place = found
        for step in outer:
            inside = place.get(step)
            if inside is not None and not isinstance(inside, dict):
                break  # invalid anyway
            place[step] = place = dict(inside or {})
        else:
            if place.get(last) is None:
                place[last] = value
                written[path] = name
    return found, written


def _flat(fields: BaseModel, path: str) -> Iterator[tuple[str, Any]]:
    for name in type(fields).model_fields:
        value, inner = getattr(fields, name), path + name
        if isinstance(value, _GROUPS):
            yield from _flat(value, f"{inner}.")
        elif name in fields.model_fields_set and (value is not None or inner in _NULL_SAYS):
            yield inner, value


def _param(steps: list[str], written: dict[str, str], name: str) -> str:
    """The client's name for the field at `steps`."""
    for place, known_as in written.items():
        count = place.count(".") + 1
        if steps[:count] == place.split("."):
            steps = [known_as, *steps[count:]]
            break
    return ".".join([name, *steps])


_OUT_OF_RANGE = (
    *("greater_than_equal", "less_than_equal", "finite_number", "too_long", "string_too_long"),
)


def _refusal(error: ErrorDetails, written: dict[str, str], name: str) -> ProtocolError:
    steps = [f"{step:.60}" for step in map(str, error["loc"]) if step != "[key]"]
    param, wrong = _param(steps, written, name), error["type"]
    if wrong == "extra_forbidden":
        return ProtocolError("unknown_parameter", f"unknown field {param}", param=param)
    code = "out_of_range" if wrong in _OUT_OF_RANGE else "wrong_type"
    if wrong in ("unsupported", "literal_error"):
        code = "unsupported"
    message = f"{param} is {error['input']!r:.60}: {error['msg']}"
    return ProtocolError(code, message, param=param)
