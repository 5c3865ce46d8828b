"""Functions that a language model may ask for, and its calls of them, as chat messages carry them.

Nobody calls them here: a call goes to the client, who sends back what came of it.
"""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from data.errors import RepError
from data.text import valid_text

MAX_ARGUMENTS = 65_536
"""Characters of the arguments of all calls in one answer."""
MAX_CALLS = 32
NOT_RETURNED = "(the function has not returned yet)"


@dataclass(frozen=True)
class Tool:
    """A function.

    Attributes:
        name: by which it is called.
        description: when and how to call it.
        parameters: of it, in JSON Schema.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)

    def in_chat(self) -> dict[str, Any]:
        """The tool in a request for a chat completion."""
        function: dict[str, Any] = {"name": self.name}
        if self.description:
            function["description"] = self.description
        function["parameters"] = self.parameters or {"type": "object", "properties": {}}
        return {"type": "function", "function": function}


@dataclass(frozen=True)
class ToolCall:
    """A call: its id, the function's name, and its arguments, in JSON as the model wrote them."""

    id: str
    name: str
    arguments: str

    def in_chat(self) -> dict[str, Any]:
        """The call in a message of the assistant."""
        function = {"name": self.name, "arguments": self.arguments}
        return {"id": self.id, "type": "function", "function": function}


class CallReader:
    """Puts calls together from the pieces in which a chat completion streams them."""

    def __init__(self) -> None:
        self._begun: list[dict[str, str]] = []
        self._by_index: dict[Any, dict[str, str]] = {}
        self._length = 0

    def push(self, deltas: Sequence[Any]) -> None:
        """Takes `delta.tool_calls` of one event.

        Raises:
            RepError: there is no end of them.
            LookupError, TypeError, AttributeError: they have another form.
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
            raise RepError("the language model called functions without end; ask again")

    def calls(self) -> tuple[ToolCall, ...]:
        """The calls, in their order."""
        return tuple(
            ToolCall(
                valid_text(call["id"])[:200] or f"call_{uuid.uuid4().hex[:20]}",
                valid_text(call["name"])[:200],
                valid_text(call["arguments"]) or "{}",
            )
            for call in self._begun
            if call["name"]
        )
