"""The form of `POST /v1/audio/transcriptions`. Unsupported options are rejected by name."""

import math
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData, UploadFile

from app.api.choosing import language_of
from app.api.errors import ApiError
from app.hub import Engines
from data.errors import InputError
from data.limits import last_words
from data.text import valid_text

DIARIZED = "diarized_json"
FORMATS = ("json", "text", "srt", "vtt", "verbose_json", DIARIZED)
_STREAMED = ("json", "text", DIARIZED)
_GRANULARITIES = ("word", "segment")
_LOGPROBS = "logprobs"
PROMPT = 800
"""Characters of a prompt that are read, its last: Whisper's limit is 224 tokens."""
_REFUSED = {
    "known_speaker_names": "speakers are named A, B, ... by appearance",
    "known_speaker_references": "speakers are named A, B, ... by appearance",
}
_TAKEN = (
    "file",
    "model",
    "response_format",
    "stream",
    "language",
    "prompt",
    "include",
    "temperature",
    "timestamp_granularities",
    "chunking_strategy",
)


@dataclass(frozen=True)
class Options:
    """The validated fields of a request.

    Attributes:
        response_format: one of `FORMATS`.
        stream: whether to send events.
        granularities: of the timestamps in verbose_json.
        language: a code; None: detected.
        prompt: a text before the recording, or words that may occur; may be empty.
        logprobs: whether to send log probabilities.
    """

    response_format: str = "json"
    stream: bool = False
    granularities: tuple[str, ...] = ("segment",)
    language: str | None = None
    prompt: str = ""
    logprobs: bool = False

    @property
    def diarized(self) -> bool:
        """Whether speakers are told apart."""
        return self.response_format == DIARIZED

    @property
    def times(self) -> bool:
        """Whether timestamps are needed."""
        return self.stream or self.logprobs or self.response_format not in ("json", "text")


def read_options(form: FormData, engines: Engines) -> Options:
    """Validates the fields of a form.

    Raises:
        ApiError: a field is unsupported or invalid.
    """
    given = {name.removesuffix("[]"): form.getlist(name) for name in form}
    if not isinstance(form.get("file"), UploadFile):
        raise bad_field("file", "Field required: send a recording")
    for name, values in given.items():
        if name in _REFUSED and any(values):
            raise bad_field(name, f"{_REFUSED[name]}; leave it out")
        if name not in _TAKEN and name not in _REFUSED:
            raise bad_field(name, f"there is no such field; there are {', '.join(_TAKEN)}")
    text = {name: str(values[-1]) for name, values in given.items() if name != "file"}
    if len(text.get("model", "")) > 200:
        raise bad_field("model", "the name has more than 200 characters")
    if text.get("chunking_strategy", "auto") not in ("", "auto"):
        raise bad_field("chunking_strategy", "only auto is supported")
    _check_temperature(text.get("temperature", ""))
    try:
        language = language_of(engines, text.get("language", "")) or None
    except InputError as error:
        raise bad_field("language", str(error)) from None
    prompt = last_words(valid_text(text.get("prompt", "")).strip(), PROMPT)
    if prompt and not engines.recognizer.biasable:
        raise bad_field("prompt", f"{engines.recognizer.name} takes no prompt; leave it out")
    kind = text.get("response_format") or "json"
    if kind not in FORMATS:
        raise bad_field("response_format", f"{kind!r:.30} is none of {', '.join(FORMATS)}")
    return Options(
        kind,
        _streamed(text.get("stream", ""), kind),
        _granularities(given.get("timestamp_granularities", []), kind),
        language,
        prompt,
        _has_logprobs(given.get("include", []), kind),
    )


def bad_field(param: str, message: str) -> ApiError:
    """The error of an invalid field."""
    return ApiError(f"{param:.60}: {message}", code="invalid_value", param=param[:60])


def _streamed(given: str, kind: str) -> bool:
    stream = given.lower() or "false"
    if stream not in ("true", "false", "1", "0"):
        raise bad_field("stream", f"{stream!r:.30} is neither true nor false")
    streamed = stream in ("true", "1")
    if streamed and kind not in _STREAMED:
        raise bad_field(
            "response_format", f"{kind} cannot be streamed; choose one of {', '.join(_STREAMED)}"
        )
    return streamed


def _granularities(given: list[Any], kind: str) -> tuple[str, ...]:
    found = tuple(str(one) for one in given if one)
    for one in found:
        if one not in _GRANULARITIES:
            raise bad_field("timestamp_granularities", f"{one!r:.30} is neither word nor segment")
    if found and kind != "verbose_json":
        raise bad_field("timestamp_granularities", "times are part of verbose_json only")
    return found or ("segment",)


def _has_logprobs(given: list[Any], kind: str) -> bool:
    found = [str(one) for one in given if one]
    for one in found:
        if one != _LOGPROBS:
            raise bad_field("include", f"{one!r:.30} is not {_LOGPROBS}")
    if found and kind != "json":
        raise bad_field("include", f"{_LOGPROBS} are part of json only")
    return bool(found)


def _check_temperature(given: str) -> None:
    try:
        value = float(given or 0)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise bad_field("temperature", f"{given!r:.30} is not from 0 to 1")
    if value:
        raise bad_field("temperature", "the recogniser does not sample; omit it, or give 0")
