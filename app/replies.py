"""Who writes the agent's words, and what of the conversation they are given.

The built-in responder is `app.scripted`; a language model answers through `app.chat_endpoint`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from app.manner import Manner
from app.tools import NOT_RETURNED, Tool, ToolCall
from data.errors import InputError
from data.limits import MAX_CONTEXT_TURNS

INSTRUCTIONS = (
    "You are in a spoken conversation. Answer in one to three short sentences of plain spoken "
    "language, in the language of the other person, without lists, markdown or emoji. "
    "The words of the other person come from a speech "
    "recogniser and may hold mistakes; if they make no sense, ask."
)
CONTEXT_TOKENS = 4096
MAX_PROMPT = 4000
_AGENT = 1
_ROLES = ("user", "assistant", "system")
_TOKENS_A_TURN = 6  # of its role and the marks around it
ENDPOINT, SPEECH_TO_SPEECH = "endpoint", "speech-to-speech"
SPACED = frozenset((ENDPOINT, SPEECH_TO_SPEECH))
"""Responders whose pieces bring their spaces; those of others are sentences."""
SYSTEM, TOOL = 2, 3
"""Who wrote what is no turn: the client's own instructions, and what came of a call."""


def checked_prompt(text: str) -> str:
    """A system prompt without space around it.

    Raises:
        InputError: it is too long.
    """
    if len(text) > MAX_PROMPT:
        raise InputError(
            f"the system prompt has {len(text)} characters; at most {MAX_PROMPT} are accepted"
        )
    return text.strip()


@dataclass(frozen=True)
class Said:
    """A turn of the conversation: who (0 the user, 1 the agent), what, how it sounded, and what
    gives its sound `[T]` at 24 kHz, or None for a turn without.

    Only a responder that takes a briefing is given what is no turn: `SYSTEM` messages, calls of
    functions by the agent, with a `call`, and what came of them, by `TOOL` to the id in `answers`.
    """

    who: int
    text: str
    manner: Manner | None = None
    sound: Callable[[], np.ndarray | None] | None = field(default=None, compare=False)
    call: ToolCall | None = None
    answers: str = ""


@dataclass(frozen=True)
class Briefing:
    """What a language model is told beside the conversation.

    Attributes:
        instructions: follow the system prompt.
        temperature: None leaves it to the responder.
        max_tokens: of an answer; None leaves it to the responder.
        system_prompt: in place of `INSTRUCTIONS`; empty leaves them.
        tools: that may be called.
        tool_choice: "auto", "none", "required", or the name of the one that must be called.
        parallel_calls: whether several may be called at once; None leaves it to the model.
    """

    instructions: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    system_prompt: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_calls: bool | None = None


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


def messages_of(
    history: Sequence[Said],
    briefing: Briefing | None = None,
    context_tokens: int = CONTEXT_TOKENS,
) -> list[dict[str, Any]]:
    """The conversation as chat messages; the oldest turns are left out when it is long.

    Args:
        history: of the conversation.
        briefing: the system prompt and what follows it.
        context_tokens: that the messages have at most, estimated; the last turn stays in any case.
    """
    briefing = briefing or Briefing()
    prompt = briefing.system_prompt or INSTRUCTIONS
    told = f"{prompt}\n\n{briefing.instructions}" if briefing.instructions else prompt
    left = context_tokens - estimated_tokens(told)
    kept: list[Said] = []
    for said in reversed(history[-MAX_CONTEXT_TURNS:]):
        left -= estimated_tokens(said.call.arguments if said.call else _words(said))
        if left < 0 and kept:
            break
        kept.append(said)
    return [{"role": "system", "content": told}, *_chat(kept[::-1])]


def _chat(history: Sequence[Said]) -> list[dict[str, Any]]:
    """Chat messages. What came of a call follows it at once, wherever it was said: endpoints refuse
    a call without an answer, and an answer without a call."""
    returned = {said.answers: said.text for said in history if said.who == TOOL}
    messages: list[dict[str, Any]] = []
    calling = False  # the last message of the assistant may take further calls
    for said in history:
        if said.who == TOOL:
            calling = False  # what is called next was asked for after it
            continue
        if said.call is None:
            messages.append({"role": _ROLES[said.who], "content": _words(said)})
            calling = said.who == _AGENT
            continue
        asked = [m for m in messages if m["role"] == "assistant"][-1:] if calling else []
        if not asked:
            asked = [{"role": "assistant", "content": None}]
            messages += asked
        asked[0].setdefault("tool_calls", []).append(said.call.in_chat())
        answer = returned.get(said.call.id, NOT_RETURNED)
        messages.append({"role": "tool", "tool_call_id": said.call.id, "content": answer})
        calling = True
    return messages


def _words(said: Said) -> str:
    text = said.text or "(something that was not understood)"
    if said.manner is not None and said.manner.word:
        text += f" (said in a voice that sounds {said.manner.word})"
    return text


def estimated_tokens(text: str) -> int:
    """About how many tokens a language model reads a message as: one for four ASCII characters,
    one for each other, as of Chinese."""
    plain = sum(character.isascii() for character in text)
    return _TOKENS_A_TURN + -(-plain // 4) + len(text) - plain
