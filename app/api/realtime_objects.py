"""Objects of OpenAI's realtime protocol (sessions, items, responses), and their beta forms."""

from dataclasses import replace
from typing import Any

from app.api.audio_formats import PCM, public_format
from app.api.realtime_settings import RealtimeSettings
from app.endpointing import SEMANTIC, SERVER
from app.hub import Engines
from app.replies import Briefing
from app.tools import Tool

_BETA_FORMATS = {PCM: "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}
_BETA_KINDS = {
    "conversation.item.added": "conversation.item.created",
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
}
_BETA_PARTS = {"output_audio": "audio", "output_text": "text"}
_NOT_IN_BETA = ("conversation.item.done",)


def session_object(name: str, settings: RealtimeSettings, engines: Engines) -> dict[str, Any]:
    """The session object.

    Args:
        name: the session's id.
        settings: the current settings.
        engines: the available models and voices.
    """
    session = settings.session
    briefing = session.briefing or Briefing()
    voices, predictors = engines.speaker.voices, engines.speaker.predictors
    audio_input = {
        "format": public_format(settings.input_format),
        "transcription": _transcription(settings, engines),
        "noise_reduction": None,
        "turn_detection": _turn_detection(settings),
    }
    if settings.kind != "realtime":
        return {
            "type": settings.kind,
            "object": "realtime.transcription_session",
            "id": name,
            "audio": {"input": audio_input},
        }
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": name,
        "model": session.predictor or predictors[0],
        "output_modalities": ["audio" if session.spoken else "text"],
        "instructions": briefing.instructions,
        "tools": [_tool_object(tool) for tool in briefing.tools],
        "tool_choice": _choice(briefing.tool_choice),
        "max_output_tokens": briefing.max_tokens or "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "audio": {
            "input": audio_input,
            "output": {
                "format": public_format(settings.output_format),
                "voice": session.voice or next(iter(voices)),
                "speed": session.rate,
            },
        },
    }


def beta_session_object(name: str, settings: RealtimeSettings, engines: Engines) -> dict[str, Any]:
    """The session object in the beta protocol."""
    found = session_object(name, replace(settings, kind="realtime"), engines)
    sound, briefing = found["audio"], settings.session.briefing or Briefing()
    kept = ("object", "id", "model", "instructions", "tools", "tool_choice", "tracing")
    return {
        **{name: found[name] for name in kept},
        "modalities": ["text", "audio"] if settings.session.spoken else ["text"],
        "voice": sound["output"]["voice"],
        "speed": sound["output"]["speed"],
        "input_audio_format": _BETA_FORMATS[settings.input_format],
        "output_audio_format": _BETA_FORMATS[settings.output_format],
        "input_audio_transcription": sound["input"]["transcription"],
        "input_audio_noise_reduction": None,
        "turn_detection": sound["input"]["turn_detection"],
        "temperature": briefing.temperature,
        "max_response_output_tokens": found["max_output_tokens"],
    }


def _tool_object(tool: Tool) -> dict[str, Any]:
    function = {"type": "function", "name": tool.name, "parameters": tool.parameters}
    return {**function, "description": tool.description} if tool.description else function


def _choice(choice: str) -> str | dict[str, str]:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "name": choice}


def _transcription(settings: RealtimeSettings, engines: Engines) -> dict[str, Any] | None:
    if not settings.transcribe:
        return None
    heard = settings.session.audio_input
    given = {"language": heard.language, "prompt": heard.prompt}
    return {"model": engines.recognizer.name, **{k: v for k, v in given.items() if v}}


def _turn_detection(settings: RealtimeSettings) -> dict[str, Any] | None:
    session = settings.session
    if not session.detect_turns:
        return None
    audio_input = session.audio_input
    answering = {
        "create_response": session.create_response,
        "interrupt_response": session.interrupt,
    }
    if audio_input.detection == SEMANTIC:
        return {"type": SEMANTIC, "eagerness": audio_input.eagerness, **answering}
    return {
        "type": SERVER,
        "threshold": settings.threshold,
        "prefix_padding_ms": audio_input.prefix_ms,
        "silence_duration_ms": audio_input.silence_ms,
        **answering,
        "idle_timeout_ms": None,
    }


def item_object(name: str, role: str, content: dict[str, Any] | None) -> dict[str, Any]:
    """A message item; in progress if it has no content."""
    return {
        "id": name,
        "object": "realtime.item",
        "type": "message",
        "status": "in_progress" if content is None else "completed",
        "role": role,
        "content": [] if content is None else [content],
    }


def response_object(
    name: str,
    status: str,
    details: dict[str, Any] | None,
    metadata: dict[str, str] | None = None,
) -> dict[str, Any]:
    """A response object without output."""
    return {
        "object": "realtime.response",
        "id": name,
        "status": status,
        "status_details": details,
        "output": [],
        "usage": None,
        "metadata": metadata,
    }


def in_beta(event: dict[str, Any]) -> dict[str, Any] | None:
    """An event in the beta protocol; None if it has no counterpart there."""
    kind = event["type"]
    if kind in _NOT_IN_BETA:
        return None
    return {**_content_in_beta(event), "type": _BETA_KINDS.get(kind, kind)}


def _content_in_beta(value: Any) -> Any:
    if isinstance(value, list):
        return [_content_in_beta(one) for one in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _content_in_beta(one) for name, one in value.items()}
    if inner.get("type") in _BETA_PARTS:
        inner["type"] = _BETA_PARTS[inner["type"]]
    return inner
