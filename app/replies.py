"""Who writes the agent's words, and what of the conversation they are given.

The built-in responder is `app.scripted`; a language model answers through `app.chat_endpoint`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from app.manner import Manner
from data.limits import MAX_CONTEXT, MAX_CONTEXT_TURNS

INSTRUCTIONS = (
    "You are in a spoken conversation. Answer in one to three short sentences of plain spoken "
    "English, without lists, markdown or emoji. The words of the other person come from a speech "
    "recogniser and may hold mistakes; if they make no sense, ask."
)
ENDPOINT, SPEECH_TO_SPEECH = "endpoint", "speech-to-speech"
SPACED = frozenset((ENDPOINT, SPEECH_TO_SPEECH))
"""Responders whose pieces bring their spaces; those of others are sentences."""


@dataclass(frozen=True)
class Said:
    """A turn of the conversation: who (0 the user, 1 the agent), what, how it sounded, and what
    gives its sound `[T]` at 24 kHz, or None for a turn without."""

    who: int
    text: str
    manner: Manner | None = None
    sound: Callable[[], np.ndarray | None] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Briefing:
    """What a language model is told beside the conversation.

    Attributes:
        instructions: follow our own, which ask for spoken English.
        temperature: None leaves it to the responder.
        max_tokens: of an answer; None leaves it to the responder.
    """

    instructions: str = ""
    temperature: float | None = None
    max_tokens: int | None = None


class Responder(Protocol):
    """Writes the agent's turns.

    One that has `hears_sound` set answers to the sound itself: the user's words are not recognised
    for it.
    """

    name: str

    def reply(self, history: Sequence[Said]) -> Iterator[str]:
        """Yields the answer to the last turn in pieces, as they are written.

        Raises:
            RepError: it cannot be had; the message says what to do.
        """
        ...


@runtime_checkable
class TakesBriefing(Protocol):
    """A responder that follows instructions."""

    def briefed(self, briefing: Briefing) -> Responder:
        """The same responder under a briefing."""
        ...


def messages_of(history: Sequence[Said], instructions: str = "") -> list[dict[str, str]]:
    """The conversation as chat messages; the oldest turns are left out when it is long.

    Args:
        history: of the conversation.
        instructions: that follow our own.
    """
    messages: list[dict[str, str]] = []
    length = 0
    for said in reversed(history[-MAX_CONTEXT_TURNS:]):
        text = said.text or "(something that was not understood)"
        length += len(text)
        if length > MAX_CONTEXT:
            break
        if said.manner is not None and said.manner.word:
            text += f" (said in a voice that sounds {said.manner.word})"
        messages.append({"role": "assistant" if said.who else "user", "content": text})
    told = f"{INSTRUCTIONS}\n\n{instructions}" if instructions else INSTRUCTIONS
    return [{"role": "system", "content": told}, *reversed(messages)]
