"""Who thinks and speaks in a session, by its settings; an unknown name stands for the first."""

from typing import Any

from app.answering import AnySpeaker
from app.replies import Responder, TakesBriefing
from app.settings import SessionSettings


class Cast:
    """Args:
    speaker, responders: shared by all sessions.
    """

    def __init__(self, speaker: AnySpeaker, responders: dict[str, Responder]) -> None:
        self._speaker, self._responders = speaker, responders

    def responder(self, settings: SessionSettings) -> Responder:
        """Who writes the answers, briefed where it takes a briefing."""
        known = self._responders
        responder = known.get(settings.responder) or next(iter(known.values()))
        if settings.briefing is not None and isinstance(responder, TakesBriefing):
            return responder.briefed(settings.briefing)
        return responder

    def begins(self, settings: SessionSettings) -> bool:
        """Whether the responder can speak when nobody has spoken to it, as it was told to."""
        return isinstance(self.responder(settings), TakesBriefing)

    def hears_sound(self, settings: SessionSettings) -> bool:
        """Whether the responder answers the sound, so that no words need be recognised."""
        return getattr(self.responder(settings), "hears_sound", False)

    def predictor(self, settings: SessionSettings) -> str:
        """The name of the speech model."""
        known = self._speaker.predictors
        return settings.predictor if settings.predictor in known else known[0]

    def voice(self, settings: SessionSettings) -> Any:
        """The voice of the agent."""
        voices = self._speaker.voices
        return voices.get(settings.voice) or next(iter(voices.values()))
