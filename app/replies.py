"""Responders, which generate the agent's text, and the conversation as they receive it.

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
_TOKENS_A_TURN = 6  # overhead of role and delimiters
ENDPOINT, SPEECH_TO_SPEECH = "endpoint", "speech-to-speech"
SPACED = frozenset((ENDPOINT, SPEECH_TO_SPEECH))
"""Responders whose pieces include their spaces; others yield sentences."""
SYSTEM, TOOL = 2, 3
"""Authors of entries that are not turns: the client's instructions, and function outputs."""


def checked_prompt(text: str) -> str:
    """A stripped system prompt.

    Raises:
        InputError: it is too long.
    """
    if len(text) > MAX_PROMPT:
        raise InputError(
            f"the system prompt has {len(text)} characters; at most {MAX_PROMPT} are accepted"
        )
    return text.strip()


@dataclass(frozen=True)
class ChatMessage:
    """A turn of the conversation: speaker (0 the user, 1 the agent), text, prosody, a function that
    returns its audio `[T]` at 24 kHz, or None, and the duration of the audio.

    Only a responder that takes a briefing also receives entries that are not turns: `SYSTEM`
    messages, function calls of the agent (`call`), and their outputs (`TOOL`, with the call's id in
    `answers`).
    """

    who: int
    text: str
    manner: Manner | None = None
    sound: Callable[[], np.ndarray | None] | None = field(default=None, compare=False)
    call: ToolCall | None = None
    answers: str = ""
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Briefing:
    """Instructions and options for a language model.

    Attributes:
        instructions: appended to the system prompt.
        temperature: None: the responder's default.
        max_tokens: limit of an answer; None: the responder's default.
        system_prompt: replaces `INSTRUCTIONS` unless empty.
        tools: available functions.
        tool_choice: "auto", "none", "required", or the name of the function to call.
        parallel_calls: whether several calls at once are allowed; None: the model's default.
    """

    instructions: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    system_prompt: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    parallel_calls: bool | None = None


class Responder(Protocol):
    """Generates the agent's turns.

    If `takes_audio` is set it answers the audio itself, and the user's speech is not recognised.
    """

    name: str

    def reply(self, history: Sequence[ChatMessage]) -> Iterator[str]:
        """Streams the answer to the last turn in pieces.

        Raises:
            RepError: it failed; the message says what to do.
        """
        ...


@runtime_checkable
class TakesBriefing(Protocol):
    """A responder that accepts a briefing."""

    def briefed(self, briefing: Briefing) -> Responder:
        """The same responder with a briefing."""
        ...


@dataclass(frozen=True)
class ContextOptions:
    """How a conversation is put to a language model.

    Attributes:
        tokens: estimated budget of the messages; the last turn is always kept.
        tells_manner: whether it is told how the person sounded.
        summary_of: summarises the beginning of a conversation, as `Summaries.of` does; None: turns
            that do not fit are dropped.
    """

    tokens: int = CONTEXT_TOKENS
    tells_manner: bool = True
    summary_of: Callable[[Sequence[ChatMessage]], str] | None = None


def messages_of(
    history: Sequence[ChatMessage],
    briefing: Briefing | None = None,
    options: ContextOptions = ContextOptions(),
) -> list[dict[str, Any]]:
    """The conversation as chat messages, without the oldest turns if it is long.

    Args:
        history: the conversation.
        briefing: system prompt and options of the answer.
        options: budget and the like.
    """
    briefing = briefing or Briefing()
    prompt = briefing.system_prompt or INSTRUCTIONS
    instructions = f"{prompt}\n\n{briefing.instructions}" if briefing.instructions else prompt
    left = options.tokens - estimated_tokens(instructions)
    first = _first_kept(history, left, options)
    if options.summary_of is not None:
        # Requested while half of the budget is free, so that it is there in time.
        summary = options.summary_of(history[: _first_kept(history, left // 2, options)])
        if summary and first:
            summary = f"\n\nThe conversation until now, in short: {summary}"
            instructions += summary
            first = _first_kept(history, left - estimated_tokens(summary), options)
    chat = _chat(history[first:], options.tells_manner)
    return [{"role": "system", "content": instructions}, *chat]


def _first_kept(history: Sequence[ChatMessage], tokens: int, options: ContextOptions) -> int:
    """The index of the oldest turn that fits."""
    first = len(history)
    while first > max(0, len(history) - MAX_CONTEXT_TURNS):
        turn = history[first - 1]
        words = turn.call.arguments if turn.call else _words(turn, options.tells_manner)
        tokens -= estimated_tokens(words)
        if tokens < 0 and first < len(history):
            break
        first -= 1
    return first


def _chat(history: Sequence[ChatMessage], tells_manner: bool) -> list[dict[str, Any]]:
    """Chat messages. A call's output is moved right behind it, since endpoints reject a call
    without an output and vice versa."""
    returned = {turn.answers: turn.text for turn in history if turn.who == TOOL}
    messages: list[dict[str, Any]] = []
    calling = False  # whether the last assistant message may take further calls
    for turn in history:
        if turn.who == TOOL:
            calling = False  # later calls were made after it
            continue
        if turn.call is None:
            words = _words(turn, tells_manner)
            messages.append({"role": _ROLES[turn.who], "content": words})
            calling = turn.who == _AGENT
            continue
        calling_message = [m for m in messages if m["role"] == "assistant"][-1:] if calling else []
        if not calling_message:
            calling_message = [{"role": "assistant", "content": None}]
            messages += calling_message
        calling_message[0].setdefault("tool_calls", []).append(turn.call.in_chat())
        answer = returned.get(turn.call.id, NOT_RETURNED)
        messages.append({"role": "tool", "tool_call_id": turn.call.id, "content": answer})
        calling = True
    return messages


def _words(turn: ChatMessage, tells_manner: bool) -> str:
    text = turn.text or "(something that was not understood)"
    tag = turn.manner.tag if tells_manner and turn.manner is not None else ""
    return f"{text} ({tag})" if tag else text


def estimated_tokens(text: str) -> int:
    """Estimated tokens of a message: one per four ASCII characters, one per other character, such
    as Chinese."""
    plain = sum(character.isascii() for character in text)
    return _TOKENS_A_TURN + -(-plain // 4) + len(text) - plain
