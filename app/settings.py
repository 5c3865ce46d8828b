"""The settings of one conversation."""

from dataclasses import dataclass, field, replace
from typing import Any

from app.endpointing import AudioInputSettings
from app.replies import Briefing
from app.toolbox import Toolbox
from data.errors import InputError


@dataclass(frozen=True)
class SessionSettings:
    """One conversation's settings.

    Attributes:
        voice: name of a voice; the first if unknown or empty.
        predictor: name of a predictor; the first if unknown or empty.
        responder: name of a responder; the first if unknown or empty.
        temperature: sampling temperature of the predictor; None for the model's default.
        rate: speaking rate, as a factor.
        interrupt: whether the user's speech may interrupt the agent.
        interrupt_ms: speech that may interrupt the agent, which is ducked after 100 ms and pauses
            40 ms before this.
        reopen_ms: time after the end of a turn in which further speech reopens it, unless the
            answer is already audible.
        detect_turns: whether voice activity starts and ends the user's turns; otherwise
            `Session.commit` ends them and `Session.respond` requests answers.
        create_response: whether the end of a detected turn requests an answer.
        briefing: instructions and tools for the language model.
        toolbox: functions that the server runs for the language model.
        spoken: whether answers are spoken or only written.
        hearing: settings of turn detection.
    """

    voice: str = ""
    predictor: str = ""
    responder: str = ""
    temperature: float | None = None
    rate: float = 1.0
    interrupt: bool = True
    interrupt_ms: int = 320
    reopen_ms: int = 800
    detect_turns: bool = True
    create_response: bool = True
    briefing: Briefing | None = None
    toolbox: Toolbox | None = None
    spoken: bool = True
    audio_input: AudioInputSettings = field(default_factory=AudioInputSettings)

    def __post_init__(self) -> None:
        checks: tuple[tuple[str, float | None, float, float], ...] = (
            ("temperature", self.temperature, 0.05, 2.0),
            ("rate", self.rate, 0.5, 2.0),
            ("interrupt_ms", self.interrupt_ms, 100, 2000),
            ("reopen_ms", self.reopen_ms, 0, 3000),
        )
        for name, value, low, high in checks:
            if value is not None and not low <= value <= high:
                raise InputError(f"{name} is {value}; it must be from {low} to {high}")

    def speak_options(self) -> Any:
        """Options for `Speaker.speak`."""
        from models.speaker import SpeakOptions  # imports torch, which logic tests do not need

        options = SpeakOptions(rate=self.rate)
        if self.temperature is None:
            return options
        return replace(options, temperature=self.temperature)


def with_settings(settings: SessionSettings, **changes: Any) -> SessionSettings:
    """Settings with changes, in which those of `audio_input` are given by name like the others.

    Raises:
        InputError: a value is out of range.
    """
    audio_input = {k: v for k, v in changes.items() if k in AudioInputSettings.__dataclass_fields__}
    rest = {k: v for k, v in changes.items() if k not in audio_input}
    return replace(settings, audio_input=replace(settings.audio_input, **audio_input), **rest)
