"""Streaming client of an OpenAI-compatible chat endpoint, with limits on time and size."""

import contextlib
import copy
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from app.replies import ENDPOINT, Briefing, ChatMessage, ContextOptions, messages_of
from app.summaries import Summaries
from app.tools import CallReader, ToolCall
from data.errors import RepError
from data.text import valid_text
from models.text import Prompt, answer_of

logger = logging.getLogger(__name__)

_MAX_LINE = 1 << 16
_MAX_BYTES = 64 << 20  # reasoning may be long
_SHOWN = 200  # characters of an error body to show
_ERROR_BODY_S = 5.0


@dataclass(frozen=True)
class ChatLimits:
    """Time limits of an answer, in seconds.

    Attributes:
        connect_s: to connect.
        first_word_s: to the first word, regardless of keepalives, reasoning and tool calls.
        next_word_s: between two words.
        total_s: to the last word.
    """

    connect_s: float = 5.0
    first_word_s: float = 60.0
    next_word_s: float = 20.0
    total_s: float = 300.0


class ChatEndpoint:
    """An OpenAI-compatible `/v1/chat/completions`.

    Args:
        base_url: up to and including `/v1`.
        model: the endpoint's model name.
        key: bearer token; empty sends none.
        limits: time limits.
        context: how conversations are put to it.
        summarises: whether it summarises the turns that do not fit into its context.
    """

    name = ENDPOINT

    def __init__(
        self,
        base_url: str,
        model: str,
        key: str = "",
        limits: ChatLimits | None = None,
        context: ContextOptions | None = None,
        summarises: bool = False,
    ) -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._model, self._key = model, key
        self._limits, self._context = limits or ChatLimits(), context or ContextOptions()
        if summarises:
            self._context = replace(self._context, summary_of=Summaries(self._complete).of)
        self._briefing, self._prompt = Briefing(), Prompt()
        headers = {"Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        # One connection per answer: a pooled one could not be aborted.
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(self._limits.total_s, connect=self._limits.connect_s),
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def briefed(self, briefing: Briefing) -> "ChatEndpoint":
        """The same endpoint with a briefing; see `app.replies.TakesBriefing`."""
        other = copy.copy(self)
        other._briefing = briefing
        return other

    def reply(self, history: Sequence[ChatMessage]) -> "ChatStream":
        """See `app.replies.Responder`."""
        messages = messages_of(history, self._briefing, self._context)
        body: dict[str, Any] = {"model": self._model, "stream": True, "messages": messages}
        if self._briefing.temperature is not None:
            body["temperature"] = self._briefing.temperature
        if self._briefing.max_tokens is not None:
            body["max_tokens"] = self._briefing.max_tokens
        body |= _tools(self._briefing)
        return ChatStream(self._client, self._url, body, self._limits, self._prompt, self._key)

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _complete(self, messages: list[dict[str, Any]]) -> str:
        """The answer to messages, as a whole."""
        body = {"model": self._model, "stream": True, "messages": messages}
        limits, prompt = self._limits, self._prompt
        return "".join(ChatStream(self._client, self._url, body, limits, prompt, self._key))


class ChatStream:
    """Iterates over the pieces of one answer; can be aborted from any thread.

    The iteration raises a RepError with advice.

    Attributes:
        shortened: whether the endpoint stopped at its token limit.
        calls: requested function calls; complete once the iteration has ended.
    """

    def __init__(
        self,
        client: httpx.Client,
        url: str,
        body: dict[str, Any],
        limits: ChatLimits,
        prompt: Prompt,
        key: str,
    ) -> None:
        self.shortened = False
        self.calls: tuple[ToolCall, ...] = ()
        self._reader = CallReader()
        self._client, self._url, self._body = client, url, body
        self._limits, self._prompt, self._key = limits, prompt, key
        self._lock = threading.Lock()
        self._stream: Any = None  # httpcore's, once connected
        self._aborted = ""
        self._done = threading.Event()
        self._begun = time.monotonic()
        self._deadline = self._begun + limits.first_word_s
        self._pieces = self._read()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def abort(self, why: str = "it was cancelled") -> None:
        """Stops the answer and closes its connection; the iteration raises."""
        with self._lock:
            self._aborted = self._aborted or why
            stream = self._stream
        if stream is not None:
            plain = stream.get_extra_info("socket")
            with contextlib.suppress(OSError, AttributeError):
                plain.shutdown(socket.SHUT_RDWR)

    def _read(self) -> Iterator[str]:
        watch = threading.Thread(target=self._watch, daemon=True, name="chat-watch")
        watch.start()
        words = 0
        try:
            request = self._client.build_request(
                "POST", self._url, json=self._body, extensions={"trace": self._trace}
            )
            response = self._client.send(request, stream=True)
            try:
                self._check(response)
                for piece in answer_of(self._texts(_lines(response)), self._prompt):
                    words += 1
                    self._postpone(self._limits.next_word_s)
                    yield piece
            finally:
                response.close()
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise self._failure(error) from error
        finally:
            self._done.set()
        if self._aborted:  # without a content length, an abort looks like a normal end
            raise self._failure()
        self.calls = self._reader.calls()
        if not words and not self.calls:
            raise RepError("the language model returned an empty answer; try again")

    def _trace(self, event: str, info: dict[str, Any]) -> None:
        """Trace callback of httpcore, on this thread; stores the connection for `abort`."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._lock:
                self._stream = info["return_value"]
                aborted = self._aborted
            if aborted:
                self.abort()

    def _watch(self) -> None:
        while not self._done.wait(max(0.0, self._deadline - time.monotonic())):
            if time.monotonic() < self._deadline:
                continue
            if self._deadline >= self._begun + self._limits.total_s:
                self.abort(f"it took more than {self._limits.total_s:.0f} s")
            else:
                self.abort("it sent no text for too long")
            return

    def _postpone(self, seconds: float) -> None:
        now = time.monotonic()
        self._deadline = min(now + seconds, self._begun + self._limits.total_s)

    def _check(self, response: httpx.Response) -> None:
        status, kind = response.status_code, response.headers.get("content-encoding", "")
        if status == 200 and kind not in ("", "identity"):
            raise RepError(f"the language model sent an unrequested encoding, {kind!r:.40}")
        if status == 200:
            return
        if response.is_redirect:
            where = valid_text(response.headers.get("location", ""))
            raise RepError(
                f"the language model redirects ({status}, {where!r:.200}); give that address as "
                "--llm-base-url"
            )
        self._postpone(_ERROR_BODY_S)
        advice = "check --llm-base-url, --llm-model and the key"
        if status == 429 or status >= 500:
            advice = "it is overloaded or failing: try again later"
        excerpt = self._excerpt(response)
        raise RepError(f"the language model answered {status} ({excerpt}); {advice}")

    def _excerpt(self, response: httpx.Response) -> str:
        """The start of an error body of unlimited length."""
        content = bytearray()
        with contextlib.suppress(httpx.HTTPError, OSError):
            for chunk in response.iter_raw():
                content += chunk
                if len(content) > 4 * _SHOWN:
                    break
        text = " ".join(content.decode("utf-8", "replace").split())
        if self._key:
            text = text.replace(self._key, "***")
        return "".join(c for c in text if c.isprintable())[:_SHOWN]

    def _garbage(self, data: str) -> RepError:
        if self._aborted:  # within a line
            return self._failure()
        return RepError(
            f"the language model's response is not a chat completion ({data[:80]!r}); check that "
            "--llm-base-url ends in /v1"
        )

    def _failure(self, error: Exception | None = None) -> RepError:
        if self._aborted:
            return RepError(f"the language model's answer was aborted: {self._aborted}")
        return RepError(
            f"the language model at {self._url} is unreachable ({type(error).__name__}); check "
            "that it is running and --llm-base-url is right"
        )

    def _texts(self, lines: Iterator[str]) -> Iterator[str]:
        """The texts of server-sent events (WHATWG HTML, section 9.2) that are chat completions."""
        for line in lines:
            field, _, data = line.partition(":")
            if not line.strip() or field in ("", "event", "id", "retry"):
                continue
            data = data.strip()
            if field != "data":
                raise self._garbage(line)
            if data == "[DONE]":
                return
            try:
                event = json.loads(data)
                if event.get("error"):
                    raise RepError(f"the language model failed: {_message(event['error'])}")
                choice = (event.get("choices") or [{}])[0]
                delta = choice.get("delta") or {}
                if delta.get("tool_calls") and "tools" in self._body:  # otherwise unrequested
                    self._reader.push(delta["tool_calls"])
                    self._postpone(self._limits.next_word_s)
                text = _text(delta.get("content"))
                self.shortened = self.shortened or choice.get("finish_reason") == "length"
            except (ValueError, RecursionError, AttributeError, LookupError, TypeError):
                raise self._garbage(data) from None
            if text:
                yield text


def _tools(briefing: Briefing) -> dict[str, Any]:
    """The function fields of a request; {} without functions, since some endpoints reject them."""
    if not briefing.tools:
        return {}
    choice: Any = briefing.tool_choice
    if choice not in ("auto", "none", "required"):
        choice = {"type": "function", "function": {"name": choice}}
    said = {"tools": [tool.in_chat() for tool in briefing.tools], "tool_choice": choice}
    if briefing.parallel_calls is not None:
        said["parallel_tool_calls"] = briefing.parallel_calls
    return said


def _lines(response: httpx.Response) -> Iterator[str]:
    """Lines of a body, limited in length and total size."""
    rest, total = bytearray(), 0
    for chunk in response.iter_raw():
        total += len(chunk)
        rest += chunk
        lines: list[bytearray] = []
        if b"\n" in chunk or b"\r" in chunk:
            *lines, rest = rest.replace(b"\r", b"\n").split(b"\n")
        if len(rest) > _MAX_LINE or total > _MAX_BYTES:
            raise RepError(
                f"the language model sent {'a line' if total <= _MAX_BYTES else 'an answer'} "
                "that is too long; check that --llm-base-url is an OpenAI-compatible endpoint"
            )
        for line in lines:
            yield line.decode("utf-8", "replace")
    yield rest.decode("utf-8", "replace")


def _text(content: Any) -> str:
    """A delta's text content; of a list of parts, only the text parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def _message(error: Any) -> str:
    text = error.get("message", "") if isinstance(error, dict) else error
    return valid_text(f"{text!s:.{_SHOWN}}")
