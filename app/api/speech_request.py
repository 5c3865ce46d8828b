"""Request schema of `/v1/audio/speech` and its WebSocket."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from data.limits import MAX_INSTRUCTIONS, MAX_SPOKEN, MAX_TURN
from data.text import valid_text
from models.delivery.lexicon import Lexicon

MAX_HISTORY = 20
MAX_LINES = 100
_TEXTS = ("input", "text")


class RequestModel(BaseModel):
    """Null fields count as absent, as OpenAI's clients expect, and so do empty ones,
    except the text itself; text is sanitised. No type is converted."""

    model_config = ConfigDict(strict=True)

    @model_validator(mode="before")
    @classmethod
    def _cleaned(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            valid_text(name): valid_text(value) if isinstance(value, str) else value
            for name, value in given.items()
            if value is not None and (value != "" or name in _TEXTS)
        }


class HistoryTurn(RequestModel):
    """A preceding turn, text only. An extension of OpenAI's API."""

    model_config = ConfigDict(extra="forbid")
    speaker: Literal["user", "agent", "assistant"]
    text: str = Field(min_length=1, max_length=MAX_TURN)


class VoiceName(RequestModel):
    """A voice given as an object with an id."""

    id: str = Field("", max_length=200)


class SpokenLine(RequestModel):
    """One line of a dialogue in several voices; the voice defaults to the request's."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=MAX_SPOKEN)
    voice: str | VoiceName = ""


class SpeechOptions(RequestModel):
    """Synthesis parameters, without the text.

    `model` may name one of our speech models; any other name selects the first. Extensions of
    OpenAI's fields: `history`, `seed`, and `lexicon`, {word: respelling, or IPA between slashes}.
    """

    model: str = Field("repartee", max_length=200)
    voice: str | VoiceName = ""
    instructions: str | None = Field(None, max_length=MAX_INSTRUCTIONS)
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0, allow_inf_nan=False)
    history: list[HistoryTurn] = Field(default=[], max_length=MAX_HISTORY)
    seed: int | None = Field(None, ge=0, lt=2**63 - MAX_LINES)
    lexicon: dict[str, Any] = {}

    @field_validator("lexicon")
    @classmethod
    def _checked_lexicon(cls, given: dict[str, Any]) -> dict[str, Any]:
        Lexicon.of(given)
        return given


class SpeechRequest(SpeechOptions):
    """OpenAI's request, where `input` may also be a list of lines in several voices."""

    input: Annotated[str, Field(max_length=MAX_SPOKEN)] | list[SpokenLine]
    stream_format: Literal["audio", "sse"] = "audio"

    @field_validator("input")
    @classmethod
    def _some_lines(cls, given: str | list[SpokenLine]) -> str | list[SpokenLine]:
        if isinstance(given, list):
            length = sum(len(line.text) for line in given)
            if not 1 <= len(given) <= MAX_LINES or length > MAX_SPOKEN:
                raise ValueError(
                    f"{len(given)} lines of {length} characters; give 1 to {MAX_LINES} lines of at "
                    f"most {MAX_SPOKEN} together"
                )
        return given


def name_of(voice: str | VoiceName) -> str:
    """The name of a voice given as a string or object."""
    return voice if isinstance(voice, str) else voice.id
