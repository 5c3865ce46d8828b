"""What to say: any OpenAI-compatible chat endpoint, streamed. The built-in one: `app.scripted`."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import httpx
import numpy as np

from app.manner import Manner
from data.errors import RepError
from models.text import answer_of

logger = logging.getLogger(__name__)

INSTRUCTIONS = (
    "You are in a spoken conversation. Answer in one to three short sentences of plain spoken "
    "English, without lists, markdown or emoji. The words of the other person come from a speech "
    "recogniser and may hold mistakes; if they make no sense, ask."
)
ENDPOINT, SPEECH_TO_SPEECH = "endpoint", "speech-to-speech"
SPACED = frozenset((ENDPOINT, SPEECH_TO_SPEECH))
"""Responders whose pieces bring their spaces; those of others are sentences."""
_MAX_TURNS = 40
_MAX_CHARACTERS = 4000


@dataclass(frozen=True)
class Said:
    """A turn of the conversation: who (0 the user, 1 the agent), what, how it sounded, and what
    gives its sound `[T]` at 24 kHz, or None for a turn without."""

    who: int
    text: str
    manner: Manner | None = None
    sound: Callable[[], np.ndarray | None] | None = field(default=None, compare=False)


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


class ChatEndpoint:
    """An OpenAI-compatible `/v1/chat/completions`.

    Args:
        base_url: up to and including `/v1`.
        model: the name that the endpoint knows.
        key: sent as bearer token; empty sends none.
        temperature: of the language model; None leaves it to the endpoint.
        timeout_s: to connect, and between two pieces.
    """

    name = ENDPOINT

    def __init__(
        self,
        base_url: str,
        model: str,
        key: str = "",
        temperature: float | None = None,
        timeout_s: float = 20.0,
    ) -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._model, self._temperature = model, temperature
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(timeout_s, connect=5.0))

    def reply(self, history: Sequence[Said]) -> Iterator[str]:
        """See `Responder`. Closing the iterator closes the connection."""
        body = {"model": self._model, "stream": True, "messages": messages_of(history)}
        if self._temperature is not None:
            body["temperature"] = self._temperature
        given = 0
        try:
            with self._client.stream("POST", self._url, json=body) as response:
                if response.status_code >= 400:
                    response.read()
                    raise RepError(
                        f"the language model answered {response.status_code} "
                        f"({response.text[:200].strip()}); check --llm-base-url, --llm-model and "
                        "the key"
                    )
                for piece in answer_of(_pieces(response.iter_lines())):
                    given += len(piece)
                    yield piece
                    if given >= _MAX_CHARACTERS:
                        return
        except httpx.HTTPError as error:
            raise RepError(
                f"the language model at {self._url} cannot be reached "
                f"({type(error).__name__}); check that it runs and --llm-base-url is right"
            ) from error
        if not given:
            raise RepError("the language model answered with nothing; try again")

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()


def messages_of(history: Sequence[Said]) -> list[dict[str, str]]:
    """The conversation as chat messages; the oldest turns are left out when it is long."""
    messages = [{"role": "system", "content": INSTRUCTIONS}]
    for said in history[-_MAX_TURNS:]:
        text = said.text or "(something that was not understood)"
        if said.manner is not None and said.manner.word:
            text += f" (said in a voice that sounds {said.manner.word})"
        messages.append({"role": "assistant" if said.who else "user", "content": text})
    return messages


def _pieces(lines: Iterator[str]) -> Iterator[str]:
    """The text of server-sent events."""
    for line in lines:
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            return
        try:
            event = json.loads(data)
            choices = event.get("choices") or [{}]
            text = (choices[0].get("delta") or {}).get("content")
        except (ValueError, AttributeError, IndexError, TypeError):
            raise RepError(
                f"the language model sent what is not a chat completion ({data[:80]!r}); "
                "check that --llm-base-url ends in /v1"
            ) from None
        if isinstance(text, str) and text:
            yield text
