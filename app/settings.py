"""What can be set for one conversation."""

from dataclasses import dataclass, field, replace
from typing import Any

from app.hearing import HearingSettings
from app.replies import Briefing
from data.errors import InputError


@dataclass(frozen=True)
class SessionSettings:
    """One conversation's settings.

    Attributes:
        voice: a name of the speaker's voices; an unknown or empty one takes the first.
        predictor: a name of the speaker's predictors; an unknown or empty one takes the first.
        responder: a name of the server's responders; an unknown or empty one takes the first.
        temperature: of the speech predictor; None takes the model's own.
        rate: of speaking, a factor.
        interrupt: whether the user's speech may cut the agent.
        interrupt_ms: speech that cuts; ducking begins with the first 100 ms.
        reopen_ms: after the end of a turn in which speech reopens it, if nothing was spoken yet.
        detect_turns: whether voice activity begins and ends the user's turns; else
            `Session.commit` ends them, and `Session.respond` asks for answers.
        create_response: whether the end of a detected turn asks for an answer.
        briefing: what the language model is told beside the conversation.
        spoken: whether answers are spoken, or only written.
    """

    voice: str = ""
    predictor: str = ""
    responder: str = ""
    temperature: float | None = None
    rate: float = 1.0
    interrupt: bool = True
    interrupt_ms: int = 350
    reopen_ms: int = 800
    detect_turns: bool = True
    create_response: bool = True
    briefing: Briefing | None = None
    spoken: bool = True
    hearing: HearingSettings = field(default_factory=HearingSettings)

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
        """For `Speaker.speak`."""
        from models.speaker import SpeakOptions  # brings torch, which tests of logic do not need

        options = SpeakOptions(rate=self.rate)
        if self.temperature is None:
            return options
        return replace(options, temperature=self.temperature)


def with_settings(settings: SessionSettings, **changes: Any) -> SessionSettings:
    """Settings with some changed; the hearing's own are named flatly. Raises InputError."""
    hearing = {k: v for k, v in changes.items() if k in HearingSettings.__dataclass_fields__}
    rest = {k: v for k, v in changes.items() if k not in hearing}
    return replace(settings, hearing=replace(settings.hearing, **hearing), **rest)
