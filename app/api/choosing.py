"""The options of a conversation, and validation of choices."""

from dataclasses import replace
from typing import Any

from app.endpointing import SEMANTIC, SERVER
from app.hub import Engines
from app.protocol import ProtocolError
from app.replies import INSTRUCTIONS, Briefing, checked_prompt
from app.settings import SessionSettings, with_settings
from data.errors import InputError
from data.languages import OPENAI_NAMES


def choices(engines: Engines) -> dict[str, Any]:
    """The options of a conversation."""
    speaker = engines.speaker
    return {
        "voices": [
            {"name": voice.name, "description": voice.description}
            for voice in speaker.voices.values()
        ],
        "predictors": list(speaker.predictors),
        "recognizer": engines.recognizer.name,
        "recognizer_caveat": engines.recognizer.caveat,
        "languages": list(engines.recognizer.languages),
        "responders": list(engines.responders),
        "detections": detections(engines),
        "detection_caveat": engines.judge_caveat,
    }


def detections(engines: Engines) -> list[str]:
    """The available end-of-turn detectors."""
    return [SERVER] if engines.judge is None else [SEMANTIC, SERVER]


def public_settings(settings: SessionSettings) -> dict[str, Any]:
    """Settings as sent to a listener."""
    names = ("voice", "predictor", "responder", "temperature", "rate", "interrupt")
    public = {name: getattr(settings, name) for name in names}
    heard = ("silence_ms", "detection", "eagerness", "language")
    public["system_prompt"] = (settings.briefing or Briefing()).system_prompt or INSTRUCTIONS
    return {**public, **{name: getattr(settings.audio_input, name) for name in heard}}


def language_of(engines: Engines, given: str) -> str:
    """The code of a language that the recogniser hears, given as a code, a tag or an English name.

    Raises:
        InputError: it hears others.
    """
    code = given.lower().partition("-")[0]
    code = {name: code for code, name in OPENAI_NAMES.items()}.get(code, code)
    known = engines.recognizer.languages
    if code and code not in known:
        heard = " and ".join(known) or "what it finds itself"
        raise InputError(f"{given!r:.30} is not known; the recogniser hears {heard}")
    return code


def changed(
    engines: Engines, settings: SessionSettings, changes: dict[str, Any]
) -> SessionSettings:
    """Settings with some changed.

    Raises:
        ProtocolError: an unknown choice, or a number out of range.
    """
    if isinstance(changes.get("voice"), str):
        changes = {**changes, "voice": engines.voices.resolve(changes["voice"])}
    known = {
        "voice": engines.speaker.voices,
        "predictor": engines.speaker.predictors,
        "responder": engines.responders,
        "detection": detections(engines),
        "language": engines.recognizer.languages,
    }
    for kind, names in known.items():
        name = changes.get(kind)
        if name and name not in names:
            why = f"; {engines.judge_caveat}" if name == SEMANTIC else ""
            raise ProtocolError(
                f"unknown_{kind}", f"{kind} {name!r:.60} is none of {', '.join(names)}{why}"
            )
    try:
        if "system_prompt" in changes:
            prompt = checked_prompt(changes["system_prompt"])
            briefing = replace(settings.briefing or Briefing(), system_prompt=prompt)
            changes = {k: v for k, v in changes.items() if k != "system_prompt"}
            changes["briefing"] = briefing
        return with_settings(settings, **changes)
    except InputError as error:
        raise ProtocolError("out_of_range", str(error)) from None
