"""The settings of a realtime session. Unsupported fields are rejected by name, never ignored."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.api.audio_formats import FORMATS, PCM
from app.api.choosing import changed, language_of
from app.api.errors import ApiError
from app.api.realtime_fields import (
    FunctionTool,
    Given,
    ResponseFields,
    SessionFields,
    Transcription,
    TurnDetection,
    read_fields,
)
from app.api.transcription_form import PROMPT
from app.endpointing import SEMANTIC, SERVER
from app.hub import Engines, Hub
from app.model_selector import ModelSelector
from app.protocol import ProtocolError
from app.replies import Briefing, TakesBriefing
from app.settings import SessionSettings, with_settings
from app.tools import Tool
from data.errors import InputError
from data.limits import last_words

TRANSCRIPTION = "transcription"
_OF_TRANSCRIPTION = ("type", "object", "include")
_QUIETEST_DBFS, _LOUDEST_DBFS = -85.0, -45.0  # speech level at thresholds 0 and 1; -65 at 0.5
_TRANSCRIBERS = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")


@dataclass(frozen=True)
class RealtimeSettings:
    """A client's settings, of its session or of one response.

    Attributes:
        session: settings of the underlying session.
        input_format, output_format: audio formats; see `app.api.audio_formats`.
        threshold: voice activity threshold, 0 (most sensitive) to 1.
        transcribe: whether to send transcripts of user turns.
        kind: "realtime", or "transcription" for a session without answers.
        metadata: of a response; returned in it.
        out_of_band: whether a response is out of band.
        input: the items that a response answers; None for the conversation.
    """

    session: SessionSettings
    input_format: str = PCM
    output_format: str = PCM
    threshold: float = 0.5
    transcribe: bool = True
    kind: str = "realtime"
    metadata: dict[str, str] | None = None
    out_of_band: bool = False
    input: list[Any] | None = None


def first_settings(hub: Hub, model: str, intent: str) -> RealtimeSettings:
    """Initial settings of a session.

    Args:
        hub: the hub with the defaults.
        model: the client's model; the default if it is not a predictor.
        intent: "transcription", or anything else for a conversation.
    """
    # OpenAI's default; clients have to request semantic_vad. They bring and run their own tools.
    settings = with_settings(hub.settings.session, detection=SERVER, toolbox=None)
    if model in hub.engines.speaker.predictors:
        settings = with_settings(settings, predictor=model)
    if intent == TRANSCRIPTION:
        settings = with_settings(settings, create_response=False)
        return RealtimeSettings(settings, kind=TRANSCRIPTION)
    return RealtimeSettings(settings)


def asked_settings(
    hub: Hub,
    session: dict[str, Any],
    model: str = "",
    before: RealtimeSettings | None = None,
) -> RealtimeSettings:
    """Initial settings from the session object of a request.

    Args:
        hub: the hub with the defaults.
        session: the client's session object; may be empty.
        model: the client's model.
        before: settings to begin with instead of the defaults.

    Raises:
        ApiError: an unknown or unsupported field; `param` names it.
    """
    intent = TRANSCRIPTION if session.get("type") == TRANSCRIPTION else ""
    try:
        return updated(before or first_settings(hub, model, intent), session, hub.engines)
    except ProtocolError as error:
        raise ApiError(str(error), code=error.code, param=error.param) from None


def updated(
    settings: RealtimeSettings, given: dict[str, Any], engines: Engines
) -> RealtimeSettings:
    """Settings after a `session.update`.

    Raises:
        ProtocolError: an unknown or unsupported field; `param` names it.
    """
    fields = read_fields(SessionFields, given, "session")
    kind = next((value for path, value, _ in fields if path == "type"), settings.kind)
    if kind != settings.kind and settings.kind == TRANSCRIPTION:
        raise _unsupported("session.type", "this is a transcription session; open another session")
    if kind == TRANSCRIPTION:
        settings = _only_hearing(settings, fields)
    return _Update(settings, engines).apply(fields)


def _only_hearing(settings: RealtimeSettings, fields: list[Given]) -> RealtimeSettings:
    """Settings of a transcription session; raises ProtocolError for fields of other sessions."""
    for path, value, param in fields:
        if path not in _OF_TRANSCRIPTION and not path.startswith("audio.input."):
            raise _unsupported(param, "a transcription session has no answers")
        if path.endswith(".transcription") and value is None:
            raise _unsupported(param, "a transcription session always sends transcripts")
    session = replace(settings.session, create_response=False)
    return replace(settings, kind=TRANSCRIPTION, session=session)


def for_response(
    settings: RealtimeSettings, given: dict[str, Any], engines: Engines
) -> RealtimeSettings:
    """Settings of one response, from `response` of `response.create`; raises ProtocolError."""
    fields = read_fields(ResponseFields, given, "response")
    for path, value, param in fields:
        if path == "audio.output.format" and FORMATS[value.type] != settings.output_format:
            raise _unsupported(param, "it applies to the whole session; set it by session.update")
    return _Update(settings, engines).apply(fields)


class _Update:
    """Applies fields to settings. `param` is the client's name for a field."""

    def __init__(self, settings: RealtimeSettings, engines: Engines) -> None:
        self.settings, self.engines = settings, engines

    def apply(self, fields: list[Given]) -> RealtimeSettings:
        for path, value, param in fields:
            field = _HONOURED.get(path)
            if field is not None:
                field(self, value, param)
        self.check_tool_choice(fields)
        return self.settings

    def change(self, param: str, **changes: Any) -> None:
        """Changes the session's settings; errors name `param`."""
        try:
            session = changed(self.engines, self.settings.session, changes)
        except ProtocolError as error:
            raise ProtocolError(error.code, str(error), param=param) from None
        self.settings = replace(self.settings, session=session)

    def brief(self, param: str, **changes: Any) -> None:
        """Changes the language model's briefing."""
        session = self.settings.session
        before = session.briefing or Briefing()
        briefing = replace(before, **changes)
        responder = ModelSelector(self.engines.speaker, self.engines.responders).responder(session)
        if briefing != before and not isinstance(responder, TakesBriefing):
            raise _unsupported(
                param,
                f"the responder {responder.name!r} is not a language model; start the server with "
                "--llm-base-url",
            )
        self.settings = replace(self.settings, session=replace(session, briefing=briefing))

    def model(self, name: str, param: str) -> None:
        if name in self.engines.speaker.predictors:
            self.change(param, predictor=name)
        elif name != "repartee" and not name.startswith("gpt-"):
            known = ", ".join(self.engines.speaker.predictors)
            raise ProtocolError(
                "unknown_model", f"{param} is {name!r:.60}; known: {known}", param=param
            )

    def instructions(self, text: str, param: str) -> None:
        self.brief(param, instructions=text)

    def temperature(self, value: float, param: str) -> None:
        self.brief(param, temperature=float(value))

    def max_tokens(self, value: int | str, param: str) -> None:
        self.brief(param, max_tokens=None if value == "inf" else value)

    def input_format(self, value: Any, param: str) -> None:
        self.settings = replace(self.settings, input_format=FORMATS[value.type])

    def output_format(self, value: Any, param: str) -> None:
        self.settings = replace(self.settings, output_format=FORMATS[value.type])

    def voice(self, name: str, param: str) -> None:
        self.change(param, voice=name)

    def speed(self, value: float, param: str) -> None:
        self.change(param, rate=value)

    def tools(self, asked: list[FunctionTool], param: str) -> None:
        names = [tool.name for tool in asked]
        if twice := next((name for name in names if names.count(name) > 1), None):
            message = f"{param} has two functions named {twice!r:.60}"
            raise ProtocolError("invalid_value", message, param=param)
        found = (Tool(tool.name, tool.description or "", tool.parameters or {}) for tool in asked)
        self.brief(param, tools=tuple(found))

    def tool_choice(self, choice: str, param: str) -> None:
        self.brief(param, tool_choice=choice)

    def parallel_calls(self, allowed: bool, param: str) -> None:
        briefing = self.settings.session.briefing or Briefing()
        if briefing.tools:  # without tools it has no effect
            self.brief(param, parallel_calls=allowed)

    def check_tool_choice(self, fields: list[Given]) -> None:
        """Checks that a required function exists."""
        briefing = self.settings.session.briefing or Briefing()
        choice, names = briefing.tool_choice, [tool.name for tool in briefing.tools]
        if choice in ("auto", "none") or choice in names or (choice == "required" and names):
            return
        param = next((one.param for one in fields if "tool" in one.path), "session.tool_choice")
        known = ", ".join(names) or "none"
        raise ProtocolError(
            "invalid_value",
            f"{param} is {choice!r:.60}; known functions: {known}",
            param=param,
        )

    def modalities(self, kinds: list[str], param: str) -> None:
        session = replace(self.settings.session, spoken="audio" in kinds)
        self.settings = replace(self.settings, session=session)

    def conversation(self, which: str, param: str) -> None:
        self.settings = replace(self.settings, out_of_band=which == "none")

    def input(self, items: list[Any], param: str) -> None:
        self.settings = replace(self.settings, input=items)

    def metadata(self, pairs: dict[str, str], param: str) -> None:
        self.settings = replace(self.settings, metadata=pairs)

    def transcription(self, value: Transcription | None, param: str) -> None:
        if value is not None:
            self._check_transcription(value, param)
        self.settings = replace(self.settings, transcribe=value is not None)

    def _check_transcription(self, asked: Transcription, param: str) -> None:
        ours = self.engines.recognizer.name
        if asked.model not in (None, ours, *_TRANSCRIBERS):
            raise _unsupported(f"{param}.model", f"this server transcribes with {ours!r}")
        try:
            language = language_of(self.engines, asked.language or "")
        except InputError as error:
            raise _unsupported(f"{param}.language", str(error)) from None
        prompt = last_words((asked.prompt or "").strip(), PROMPT)
        if prompt and not self.engines.recognizer.biasable:
            raise _unsupported(f"{param}.prompt", f"{ours!r} does not support prompts")
        self.change(param, language=language, prompt=prompt)

    def turn_detection(self, asked: TurnDetection | None, param: str) -> None:
        if asked is None:
            self.change(param, detect_turns=False)
            return
        kind = asked.type or self.settings.session.audio_input.detection
        if kind == SEMANTIC and self.engines.judge is None:
            why = self.engines.judge_caveat or "its model is not installed"
            raise _unsupported(f"{param}.type", why)
        self.change(f"{param}.type", detection=kind)
        for name, value in asked.model_dump(exclude_none=True, exclude={"type"}).items():
            inner = f"{param}.{name}"
            if name in _OF_THE_OTHER[kind]:
                raise ProtocolError(
                    "unknown_parameter", f"unknown field {inner} of {kind}", param=inner
                )
            if name == "threshold":
                self._threshold(value, inner)
            else:
                self.change(inner, **{_DETECTION[name]: value})
        self.change(param, detect_turns=True)

    def _threshold(self, value: float, param: str) -> None:
        floor = _QUIETEST_DBFS + value * (_LOUDEST_DBFS - _QUIETEST_DBFS)
        loudness = {"aggressiveness": min(3, int(4 * value)), "floor_dbfs": floor}
        self.change(param, threshold=float(value), **loudness)
        self.settings = replace(self.settings, threshold=float(value))


def _unsupported(param: str, why: str) -> ProtocolError:
    return ProtocolError("unsupported", f"{param} is not supported: {why}", param=param)


_HONOURED: dict[str, Callable[[_Update, Any, str], None]] = {
    "model": _Update.model,
    "instructions": _Update.instructions,
    "tools": _Update.tools,
    "tool_choice": _Update.tool_choice,
    "parallel_tool_calls": _Update.parallel_calls,
    "output_modalities": _Update.modalities,
    "conversation": _Update.conversation,
    "input": _Update.input,
    "temperature": _Update.temperature,
    "max_output_tokens": _Update.max_tokens,
    "metadata": _Update.metadata,
    "audio.input.format": _Update.input_format,
    "audio.input.transcription": _Update.transcription,
    "audio.input.turn_detection": _Update.turn_detection,
    "audio.output.format": _Update.output_format,
    "audio.output.voice": _Update.voice,
    "audio.output.speed": _Update.speed,
}
_DETECTION = {
    "eagerness": "eagerness",
    "prefix_padding_ms": "prefix_ms",
    "silence_duration_ms": "silence_ms",
    "create_response": "create_response",
    "interrupt_response": "interrupt",
}
_OF_THE_OTHER = {
    SERVER: ("eagerness",),
    SEMANTIC: ("threshold", "prefix_padding_ms", "silence_duration_ms"),
}
