"""The functions that the server runs for the language model of one conversation."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from app.active_reply import Emit
from app.history import DialogueHistory, Note
from app.replies import TOOL
from app.settings import SessionSettings
from app.toolbox import ToolResult
from app.tools import ToolCall

MAX_ROUNDS = 5
"""Most times in a row that a language model may answer with calls."""

_MOST_NOTES = 1 << 19  # characters of calls and results; half of what a history holds


class ToolRuns:
    """Runs calls, and adds what they return to the history.

    Args:
        history: the conversation's history.
        emit: sends to the listener.
    """

    def __init__(self, history: DialogueHistory, emit: Emit) -> None:
        self._history, self._emit = history, emit
        self._open: list[tuple[ToolCall, Future[ToolResult]]] = []
        self._rounds = 0

    def restart(self) -> None:
        """The user has said something new."""
        self._rounds = 0

    def begin(self, settings: SessionSettings, calls: Sequence[dict[str, Any]]) -> None:
        """Runs the calls of an answer, as they were sent to the listener."""
        if settings.toolbox is None:
            return
        self._rounds += 1
        for one in calls:
            call = ToolCall(one["id"], one["name"], one["arguments"])
            self._open.append((call, settings.toolbox.run(call)))

    def take(self) -> bool:
        """Adds what has been returned; whether these were the last results."""
        done = [one for one in self._open if one[1].done()]
        self._open = [one for one in self._open if one not in done]
        for call, future in done:
            result = future.result()
            self._emit(
                {
                    "type": "tool.returned",
                    "call": call.id,
                    "result": result.text,
                    "failed": result.failed,
                    "seconds": round(result.seconds, 3),
                }
            )
            self._make_room()
            number = self._history.number()
            self._history.place(Note(number, TOOL, result.text, answers=call.id))
        return bool(done) and not self._open

    def _make_room(self) -> None:
        """Forgets the oldest calls and results where there are many."""
        notes = [one for one in self._history.entries if isinstance(one, Note)]
        while sum(one.length for one in notes) > _MOST_NOTES:
            self._history.remove(notes.pop(0).number)

    def settings(self, settings: SessionSettings) -> SessionSettings:
        """The settings of the answer to results: after several rounds, without further calls."""
        return settings if self._rounds < MAX_ROUNDS else replace(settings, toolbox=None)

    def close(self) -> None:
        """Drops all calls."""
        for _, result in self._open:
            result.cancel()
        self._open.clear()
