"""The settings of a realtime session: what a client may set, in the words of the beta interface and
of the present one. A field is honoured, or refused by name; none is taken and ignored."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from app.api.audio_formats import FORMATS, PCM
from app.api.choosing import changed
from app.cast import Cast
from app.hearing import SEMANTIC, SERVER
from app.hub import Engines
from app.protocol import SAMPLE_RATE, ProtocolError
from app.replies import Briefing, TakesBriefing
from app.settings import SessionSettings
from data.limits import MAX_INSTRUCTIONS

MAX_OUTPUT_TOKENS = 4096
_MAX_METADATA = 16
_QUIETEST_DBFS, _LOUDEST_DBFS = -85.0, -45.0  # of speech at threshold 0 and 1; -65 at 0.5
_TRANSCRIBERS = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")
_LANGUAGES = ("en", "en-us", "en-gb", "english")


@dataclass(frozen=True)
class RealtimeSettings:
    """What a client has set.

    Attributes:
        session: the part that the session follows.
        input_format, output_format: of sound; see `app.api.audio_formats`.
        threshold: of voice activity, 0 (takes much for speech) to 1 (takes little).
        transcribe: whether the client is told the words that were recognised.
        metadata: of one response, for the client's own use; it comes back in that response.
    """

    session: SessionSettings
    input_format: str = PCM
    output_format: str = PCM
    threshold: float = 0.5
    transcribe: bool = True
    metadata: dict[str, str] | None = None


def updated(
    settings: RealtimeSettings, given: dict[str, Any], engines: Engines
) -> RealtimeSettings:
    """Settings after a `session.update`.

    Raises:
        ProtocolError: a field is unknown, or cannot be honoured; `param` names it.
    """
    return _Update(settings, engines, "session", _SESSION).apply(given)


def for_response(
    settings: RealtimeSettings, given: dict[str, Any], engines: Engines
) -> RealtimeSettings:
    """Settings of one response, from `response` of `response.create`; raises ProtocolError."""
    return _Update(settings, engines, "response", _RESPONSE).apply(given)


class _Update:
    """Changes settings field by field. `param` is the client's own name for a field."""

    def __init__(
        self,
        settings: RealtimeSettings,
        engines: Engines,
        name: str,
        fields: "dict[str, _Field]",
    ) -> None:
        self.settings, self.engines = settings, engines
        self._name, self._fields = name, fields

    def apply(self, given: dict[str, Any]) -> RealtimeSettings:
        for path, value, param in self._flat(given, "", self._name):
            field = self._fields.get(_BETA.get(path, path))
            if field is None:
                raise ProtocolError("unknown_parameter", f"there is no {param}", param=param)
            if value is not None or field in _NULLABLE:
                field(self, value, param)
        return self.settings

    def _flat(self, given: Any, path: str, param: str) -> list[tuple[str, Any, str]]:
        """(path, value, name) of all that was given; what is null is as absent further up."""
        found = []
        for name, value in typed(given, dict, param).items():
            inner, known_as = f"{path}{name}", f"{param}.{name:.60}"
            if "." in name:
                raise ProtocolError("unknown_parameter", f"there is no {known_as}", param=known_as)
            if inner not in ("audio", "audio.input", "audio.output"):
                found.append((inner, value, known_as))
            elif value is not None:
                found += self._flat(value, f"{inner}.", known_as)
        return found

    def change(self, param: str, **changes: Any) -> None:
        """Changes the session's settings; what is out of range is the fault of `param`."""
        try:
            session = changed(self.engines, self.settings.session, changes)
        except ProtocolError as error:
            raise ProtocolError(error.code, str(error), param=param) from None
        self.settings = replace(self.settings, session=session)

    def brief(self, param: str, **changes: Any) -> None:
        """Changes what the language model is told."""
        session = self.settings.session
        before = session.briefing or Briefing()
        briefing = replace(before, **changes)
        responder = Cast(self.engines.speaker, self.engines.responders).responder(session)
        if briefing != before and not isinstance(responder, TakesBriefing):
            raise _unsupported(
                param,
                f"the responder {responder.name!r} is no language model and follows none; start "
                "the server with --llm-base-url",
            )
        self.settings = replace(self.settings, session=replace(session, briefing=briefing))


_Field = Callable[[_Update, Any, str], None]


def typed(value: Any, kind: type | tuple[type, ...], param: str) -> Any:
    """The value, if it is of that type; raises ProtocolError."""
    is_flag = isinstance(value, bool)
    if not isinstance(value, kind) or (is_flag and kind is not bool):
        names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
        raise ProtocolError(
            "wrong_type", f"{param} is {value!r:.60}; {names} is expected", param=param
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ProtocolError("out_of_range", f"{param} is {value}; give a number", param=param)
    return value


def _unsupported(param: str, why: str) -> ProtocolError:
    return ProtocolError("unsupported", f"{param} cannot be honoured: {why}", param=param)


def _only(*allowed: Any) -> _Field:
    """A field that may say what is so anyway, and nothing else."""

    def field(update: _Update, value: Any, param: str) -> None:
        if not any(value == one and type(value) is type(one) for one in allowed):
            shown = " or ".join(repr(one) for one in allowed) or "null"
            raise _unsupported(param, f"only {shown} is; it is {value!r:.60}")

    return field


def _model(update: _Update, value: Any, param: str) -> None:
    name = typed(value, str, param)
    if name in update.engines.speaker.predictors:
        update.change(param, predictor=name)
    elif name != "repartee" and not name.startswith("gpt-"):
        known = ", ".join(update.engines.speaker.predictors)
        raise ProtocolError(
            "unknown_model", f"{param} {name!r:.60} is none of {known}", param=param
        )


def _modalities(update: _Update, value: Any, param: str) -> None:
    if "audio" not in (kinds := typed(value, list, param)):
        raise _unsupported(param, "answers are always spoken; ask for 'audio'")
    for kind in kinds:
        if kind not in ("audio", "text"):
            raise _unsupported(param, f"there is no {kind!r:.60}")


def _instructions(update: _Update, value: Any, param: str) -> None:
    text = typed(value, str, param).strip()
    if len(text) > MAX_INSTRUCTIONS:
        message = f"{param} has {len(text)} characters; at most {MAX_INSTRUCTIONS} are accepted"
        raise ProtocolError("out_of_range", message, param=param)
    update.brief(param, instructions=text)


def _temperature(update: _Update, value: Any, param: str) -> None:
    if not 0 <= typed(value, (int, float), param) <= 2:
        message = f"{param} is {value}; it must be from 0 to 2"
        raise ProtocolError("out_of_range", message, param=param)
    update.brief(param, temperature=float(value))


def _max_tokens(update: _Update, value: Any, param: str) -> None:
    if value == "inf":
        update.brief(param, max_tokens=None)
        return
    if not 1 <= typed(value, int, param) <= MAX_OUTPUT_TOKENS:
        message = f"{param} is {value}; it must be from 1 to {MAX_OUTPUT_TOKENS}, or 'inf'"
        raise ProtocolError("out_of_range", message, param=param)
    update.brief(param, max_tokens=value)


def _format(value: Any, param: str) -> str:
    if isinstance(value, dict):
        fields = {"type", "rate"}
        for name in value.keys() - fields:
            raise ProtocolError(
                "unknown_parameter", f"there is no {param}.{name:.60}", param=f"{param}.{name:.60}"
            )
        kind = FORMATS.get(typed(value.get("type"), str, f"{param}.type"))
        rate = value.get("rate")
        wanted = SAMPLE_RATE if kind == PCM else 8_000
        if kind is not None and rate is not None and rate != wanted:
            raise _unsupported(f"{param}.rate", f"{kind} has {wanted} Hz; it is {rate!r:.60}")
    else:
        kind = FORMATS.get(typed(value, str, param))
    if kind is None:
        raise _unsupported(param, f"known are {', '.join(FORMATS)}; it is {value!r:.60}")
    return kind


def _input_format(update: _Update, value: Any, param: str) -> None:
    update.settings = replace(update.settings, input_format=_format(value, param))


def _output_format(update: _Update, value: Any, param: str) -> None:
    update.settings = replace(update.settings, output_format=_format(value, param))


def _same_output_format(update: _Update, value: Any, param: str) -> None:
    if _format(value, param) != update.settings.output_format:
        raise _unsupported(param, "a session has one; set it by session.update")


def _voice(update: _Update, value: Any, param: str) -> None:
    name = value.get("id") if isinstance(value, dict) else value
    update.change(param, voice=typed(name, str, param))


def _speed(update: _Update, value: Any, param: str) -> None:
    update.change(param, rate=typed(value, (int, float), param))


def _transcription(update: _Update, value: Any, param: str) -> None:
    if value is not None:
        _check_transcription(update, typed(value, dict, param), param)
    update.settings = replace(update.settings, transcribe=value is not None)


def _check_transcription(update: _Update, value: dict[str, Any], param: str) -> None:
    ours = update.engines.recognizer.name
    for name, one in value.items():
        inner = f"{param}.{name:.60}"
        if name not in ("model", "language", "prompt"):
            raise ProtocolError("unknown_parameter", f"there is no {inner}", param=inner)
        if one is None:
            continue
        text = typed(one, str, inner)
        if name == "model" and text not in (ours, *_TRANSCRIBERS):
            raise _unsupported(inner, f"{ours!r} transcribes here; it is {text!r:.60}")
        if name == "language" and text.lower() not in _LANGUAGES:
            raise _unsupported(inner, f"{ours!r} hears English; it is {text!r:.60}")
        if name == "prompt" and text.strip():
            raise _unsupported(inner, f"{ours!r} takes none")


def _turn_detection(update: _Update, value: Any, param: str) -> None:
    if value is None:
        update.change(param, detect_turns=False)
        return
    kind = typed(value, dict, param).get("type")
    if kind is None:
        kind = update.settings.session.hearing.detection
    typed(kind, str, f"{param}.type")
    for name, one in value.items():
        inner = f"{param}.{name:.60}"
        field = _DETECTION.get(name)
        if field is None:
            raise ProtocolError("unknown_parameter", f"there is no {inner}", param=inner)
        if one is not None and name in _OF_THE_OTHER.get(kind, ()):
            raise ProtocolError("unknown_parameter", f"{kind} has no {inner}", param=inner)
        if one is not None:
            field(update, one, inner)
    update.change(param, detect_turns=True)


def _detection_type(update: _Update, value: Any, param: str) -> None:
    kind = typed(value, str, param)
    if kind not in (SEMANTIC, SERVER):
        raise _unsupported(param, f"known are {SERVER} and {SEMANTIC}; it is {kind!r:.60}")
    if kind == SEMANTIC and update.engines.judge is None:
        raise _unsupported(param, update.engines.judge_caveat or "there is no model for it here")
    update.change(param, detection=kind)


def _threshold(update: _Update, value: Any, param: str) -> None:
    if not 0 <= typed(value, (int, float), param) <= 1:
        message = f"{param} is {value}; it must be from 0 to 1"
        raise ProtocolError("out_of_range", message, param=param)
    floor = _QUIETEST_DBFS + value * (_LOUDEST_DBFS - _QUIETEST_DBFS)
    loudness = {"aggressiveness": min(3, int(4 * value)), "floor_dbfs": floor}
    update.change(param, threshold=float(value), **loudness)
    update.settings = replace(update.settings, threshold=float(value))


def _metadata(update: _Update, value: Any, param: str) -> None:
    pairs = typed(value, dict, param)
    if len(pairs) > _MAX_METADATA:
        message = f"{param} has {len(pairs)} entries; at most {_MAX_METADATA} are accepted"
        raise ProtocolError("out_of_range", message, param=param)
    for name, one in pairs.items():
        inner = f"{param}.{name:.60}"
        if len(name) > 64 or len(typed(one, str, inner)) > 512:
            message = f"{inner}: names have at most 64 characters, values 512"
            raise ProtocolError("out_of_range", message, param=inner)
    update.settings = replace(update.settings, metadata=pairs)


def _setting(name: str, kind: type) -> _Field:
    """A field that is one of the session's settings."""

    def field(update: _Update, value: Any, param: str) -> None:
        update.change(param, **{name: typed(value, kind, param)})

    return field


_DETECTION: dict[str, _Field] = {
    "type": _detection_type,
    "eagerness": _setting("eagerness", str),
    "threshold": _threshold,
    "prefix_padding_ms": _setting("prefix_ms", int),
    "silence_duration_ms": _setting("silence_ms", int),
    "create_response": _setting("create_response", bool),
    "interrupt_response": _setting("interrupt", bool),
    "idle_timeout_ms": _only(),
}
_OF_THE_OTHER = {
    SERVER: ("eagerness",),
    SEMANTIC: ("threshold", "prefix_padding_ms", "silence_duration_ms", "idle_timeout_ms"),
}
_SPOKEN: dict[str, _Field] = {
    "output_modalities": _modalities,
    "instructions": _instructions,
    "tools": _only([]),
    "tool_choice": _only("auto", "none"),
    "parallel_tool_calls": _only(True, False),  # there are none
    "temperature": _temperature,
    "max_output_tokens": _max_tokens,
    "prompt": _only(),
    "audio.output.voice": _voice,
    "audio.output.speed": _speed,
}
_SESSION: dict[str, _Field] = {
    **_SPOKEN,
    "type": _only("realtime"),
    "object": _only("realtime.session"),
    "model": _model,
    "tracing": _only("auto"),  # nothing is traced here, as `session.updated` says
    "truncation": _only("auto"),
    "include": _only([]),
    "audio.input.format": _input_format,
    "audio.input.noise_reduction": _only(),
    "audio.input.transcription": _transcription,
    "audio.input.turn_detection": _turn_detection,
    "audio.output.format": _output_format,
}
_RESPONSE: dict[str, _Field] = {
    **_SPOKEN,
    "conversation": _only("auto"),
    "input": _only(),
    "metadata": _metadata,
    "audio.output.format": _same_output_format,
}
_NULLABLE = (_transcription, _turn_detection)  # null says something
# Names of the beta interface, and where their fields are now.
_BETA = {
    "modalities": "output_modalities",
    "voice": "audio.output.voice",
    "speed": "audio.output.speed",
    "input_audio_format": "audio.input.format",
    "output_audio_format": "audio.output.format",
    "input_audio_transcription": "audio.input.transcription",
    "input_audio_noise_reduction": "audio.input.noise_reduction",
    "turn_detection": "audio.input.turn_detection",
    "max_response_output_tokens": "max_output_tokens",
}
