"""Tools of a language model and its tool calls, in the format of chat completions.

Calls go to the client, which returns the results, or to the server's own tools (`app.toolbox`).
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from data.errors import RepError
from data.text import valid_text

MAX_ARGUMENTS = 65_536
"""Most characters in the arguments of all calls of one answer."""
MAX_CALLS = 32
NOT_RETURNED = "(the function has not returned yet)"


@dataclass(frozen=True)
class Tool:
    """A function that the language model may call.

    Attributes:
        name: its name.
        description: when and how to call it.
        parameters: its parameters as JSON Schema.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    def in_chat(self) -> dict[str, Any]:
        """The tool in a chat completion request."""
        function: dict[str, Any] = {"name": self.name}
        if self.description:
            function["description"] = self.description
        function["parameters"] = self.parameters or {"type": "object", "properties": {}}
        return {"type": "function", "function": function}


@dataclass(frozen=True)
class ToolCall:
    """A call: its id, the function's name, and the arguments as the model's JSON."""

    id: str
    name: str
    arguments: str

    def in_chat(self) -> dict[str, Any]:
        """The call in an assistant message."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


class CallReader:
    """Assembles tool calls from the deltas of a streamed chat completion."""

    def __init__(self) -> None:
        self._begun: list[dict[str, str]] = []
        self._by_index: dict[Any, dict[str, str]] = {}
        self._length = 0

    def push(self, deltas: Sequence[Any]) -> None:
        """Adds `delta.tool_calls` of one event.

        Raises:
            RepError: there are too many calls, or their arguments are too long.
            LookupError, TypeError, AttributeError: malformed deltas.
        """
        for delta in deltas:
            function, given = delta.get("function") or {}, delta.get("id") or ""
            call = self._by_index.get(delta.get("index"))
            if call is None or (given and call["id"] and given != call["id"]):
                call = {"id": "", "name": "", "arguments": ""}
                self._begun.append(call)
                self._by_index[delta.get("index")] = call
            call["id"] = call["id"] or str(given)
            call["name"] += function.get("name") or ""
            arguments = function.get("arguments") or ""
            call["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments)
            self._length += len(arguments)
        if self._length > MAX_ARGUMENTS or len(self._begun) > MAX_CALLS:
            raise RepError("the language model made too many function calls; ask again")

    def calls(self) -> tuple[ToolCall, ...]:
        """The calls in order."""
        return tuple(
            ToolCall(
                valid_text(call["id"])[:200] or f"call_{uuid.uuid4().hex[:20]}",
                valid_text(call["name"])[:200],
                valid_text(call["arguments"]) or "{}",
            )
            for call in self._begun
            if call["name"]
        )
