"""Selects responder, predictor and voice by settings; unknown names select the first."""

from dataclasses import replace
from typing import Any

from app.answering import SpeakerProtocol
from app.replies import Briefing, Responder, TakesBriefing
from app.settings import SessionSettings


class ModelSelector:
    """Args:
    speaker, responders: shared by all sessions.
    """

    def __init__(self, speaker: SpeakerProtocol, responders: dict[str, Responder]) -> None:
        self._speaker, self._responders = speaker, responders

    def responder(self, settings: SessionSettings) -> Responder:
        """The responder, with the briefing if it accepts one."""
        known = self._responders
        responder = known.get(settings.responder) or next(iter(known.values()))
        briefing = settings.briefing
        if settings.toolbox is not None:
            briefing = replace(briefing or Briefing(), tools=settings.toolbox.tools)
        if briefing is not None and isinstance(responder, TakesBriefing):
            return responder.briefed(briefing)
        return responder

    def can_begin(self, settings: SessionSettings) -> bool:
        """Whether the responder can speak first, following instructions."""
        return isinstance(self.responder(settings), TakesBriefing)

    def takes_audio(self, settings: SessionSettings) -> bool:
        """Whether the responder answers audio, so that no recognition is needed."""
        return getattr(self.responder(settings), "takes_audio", False)

    def predictor(self, settings: SessionSettings) -> str:
        """The predictor's name."""
        known = self._speaker.predictors
        return settings.predictor if settings.predictor in known else known[0]

    def voice(self, settings: SessionSettings) -> Any:
        """The agent's voice."""
        voices = self._speaker.voices
        return voices.get(settings.voice) or next(iter(voices.values()))
