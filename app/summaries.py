"""Summaries of the turns that no longer fit into a language model's context, by that model."""

import hashlib
import itertools
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from app.replies import ChatMessage
from data.errors import RepError

logger = logging.getLogger(__name__)

_ASKED = (
    "Summarise the beginning of this spoken conversation in at most 120 words, in its language: "
    "names, facts, wishes, what was agreed and what is open. Write the summary only."
)
_LEAST_TURNS = 6  # new ones that are worth a request
_MAX_KEPT = 256
_MAX_CHARACTERS = 2000
_RETRY_S = 60.0


class Summaries:
    """Summaries of all conversations with one language model.

    A summary is found by all that it summarises, so no conversation gets that of another.

    Args:
        ask: completes a conversation; blocks, and raises RepError if it fails.
    """

    def __init__(self, ask: Callable[[list[dict[str, Any]]], str]) -> None:
        self._ask = ask
        self._known: OrderedDict[bytes, str] = OrderedDict()
        self._running: set[bytes] = set()
        self._not_before = 0.0
        self._lock = threading.Lock()

    def of(self, beginning: Sequence[ChatMessage]) -> str:
        """A summary of the beginning of a conversation, or of most of it, or "". Never blocks: if
        it lacks several turns, a better one is requested for the next time."""
        keys = _keys(beginning)
        with self._lock:
            at = next((n for n in reversed(range(len(keys))) if keys[n] in self._known), None)
            base = b"" if at is None else keys[at]
            summary = self._known.get(base, "")
            if summary:
                self._known.move_to_end(base)
            new = list(beginning[0 if at is None else at + 1 :])
            start = keys[0] if keys else b""
            waits = start in self._running or time.monotonic() < self._not_before
            if len(new) < _LEAST_TURNS or waits:
                return summary
            self._running.add(start)
        work = (start, keys[-1], summary, new)
        threading.Thread(target=self._summarise, args=work, daemon=True, name="summary").start()
        return summary

    def _summarise(self, start: bytes, key: bytes, before: str, new: list[ChatMessage]) -> None:
        found = ""
        try:
            found = self._ask(_request(before, new)).strip()[:_MAX_CHARACTERS]
        except RepError as error:
            logger.warning("the conversation could not be summarised: %s", error)
        except Exception:
            logger.exception("the conversation could not be summarised")
        with self._lock:
            self._running.discard(start)
            if not found:
                self._not_before = time.monotonic() + _RETRY_S
                return
            self._known[key] = found
            while len(self._known) > _MAX_KEPT:
                self._known.popitem(last=False)


def _keys(turns: Sequence[ChatMessage]) -> list[bytes]:
    """For each turn, a digest of all up to it."""
    steps = (f"{turn.who} {len(turn.text)} {turn.text}".encode() for turn in turns)
    chain = itertools.accumulate(
        steps, lambda before, step: hashlib.sha256(before + step).digest(), initial=b""
    )
    return list(chain)[1:]


def _request(before: str, new: list[ChatMessage]) -> list[dict[str, Any]]:
    lines = [f"Summary so far: {before}"] if before else []
    names = ("Person", "Assistant", "Instructions", "Function")
    lines += [f"{names[turn.who]}: {turn.text}" for turn in new if turn.text]
    return [
        {"role": "system", "content": _ASKED},
        {"role": "user", "content": "\n".join(lines)},
    ]
