"""Tools that this server runs for its language model: commands and URLs from a JSON file.

The file lists function definitions in OpenAI's form, each with `command` (program and arguments) or
`url`. A command gets the call's arguments as JSON on its standard input, a URL as the body of a
POST; what they print or answer is the result.
"""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.tools import Tool, ToolCall
from data.errors import InputError
from data.text import valid_text

MAX_RESULT = 16_384
"""Most characters of a result; the rest is cut off."""
_TIMEOUT_S = 10.0
_LONGEST_S = 120.0
_AT_ONCE = 8


class _Definition(BaseModel):
    """A function as the file defines it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["function"] = "function"
    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    parameters: dict[str, Any] = {}
    strict: bool = False  # OpenAI's; the arguments are not checked
    command: list[str] = []
    url: str = ""
    timeout_s: Annotated[float, Field(gt=0, le=_LONGEST_S)] = _TIMEOUT_S


@dataclass(frozen=True)
class ServerTool:
    """A function and how to run it: by `command`, or by a POST to `url`."""

    tool: Tool
    command: tuple[str, ...] = ()
    url: str = ""
    timeout_s: float = _TIMEOUT_S


@dataclass(frozen=True)
class ToolResult:
    """What a call returned; `failed`: `text` says why there is no result."""

    text: str
    failed: bool
    seconds: float


class Toolbox:
    """Runs calls of its tools, several at once.

    Args:
        tools: with distinct names.
    """

    def __init__(self, tools: Sequence[ServerTool]) -> None:
        self._tools = {one.tool.name: one for one in tools}
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="tool")

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Their definitions."""
        return tuple(one.tool for one in self._tools.values())

    def run(self, call: ToolCall) -> "Future[ToolResult]":
        """Runs a call; the future never fails. Never blocks."""
        return self._pool.submit(self._run, call)

    def close(self) -> None:
        """Drops calls that have not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, call: ToolCall) -> ToolResult:
        begun = time.monotonic()
        known = self._tools.get(call.name)
        try:
            if known is None:
                raise InputError(f"there is no function {call.name!r:.60}")
            work = _by_command if known.command else _by_url
            text, failed = work(known, _arguments(call)), False
        except (InputError, OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            text, failed = f"error: {error or type(error).__name__}", True
        return ToolResult(_cut(text), failed, time.monotonic() - begun)


def read_toolbox(path: Path) -> Toolbox:
    """The tools of a JSON file.

    Raises:
        InputError: it is not a list of functions with a command or a URL.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--tools: {path} is not readable JSON ({error})") from None
    if not isinstance(given, list) or not given:
        raise InputError(f"--tools: {path} must hold a list of functions: [{{'name': ...}}]")
    tools = [_tool(one, f"--tools: function {number}") for number, one in enumerate(given, 1)]
    names = [one.tool.name for one in tools]
    if len(set(names)) < len(names):
        raise InputError(f"--tools: {path} defines a function twice: {', '.join(names)}")
    return Toolbox(tools)


def _tool(given: Any, where: str) -> ServerTool:
    if not isinstance(given, dict):
        raise InputError(f"{where} is {given!r:.60}; it must be an object")
    fields = dict(given)
    if isinstance(given.get("function"), dict):  # as in chat completions
        fields |= fields.pop("function")
    try:
        read = _Definition.model_validate(fields)
    except ValidationError as invalid:
        raise InputError(f"{where}: {_first_error(invalid)}") from None
    if bool(read.command) == bool(read.url):
        raise InputError(f"{where} ({read.name}) needs either 'command' or 'url'")
    tool = Tool(read.name, read.description, read.parameters)
    return ServerTool(tool, tuple(read.command), read.url, read.timeout_s)


def _first_error(invalid: ValidationError) -> str:
    error = invalid.errors(include_url=False)[0]
    place = ".".join(f"{step:.60}" if isinstance(step, str) else str(step) for step in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown field {place!r}; known: {', '.join(_Definition.model_fields)}"
    if error["type"] == "missing":
        return f"{place!r} is missing"
    return f"{place!r} is {error['input']!r:.60}: {error['msg']}"


def _arguments(call: ToolCall) -> bytes:
    try:
        given = json.loads(call.arguments)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise InputError(f"the arguments are no JSON object: {call.arguments:.200}")
    return json.dumps(given, ensure_ascii=False).encode()


def _by_command(known: ServerTool, arguments: bytes) -> str:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            known.command, stdin=subprocess.PIPE, stdout=out, stderr=err, start_new_session=True
        )
        try:
            process.communicate(arguments, known.timeout_s)
        except subprocess.TimeoutExpired:
            raise InputError(f"it took more than {known.timeout_s:g} s") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it has started
            process.wait()
        if process.returncode:
            raise InputError(f"exit status {process.returncode}: {_begun(err).strip():.500}")
        return _begun(out)


def _begun(file: Any) -> str:
    file.seek(0)
    return file.read(4 * MAX_RESULT).decode("utf-8", "replace")


def _by_url(known: ServerTool, arguments: bytes) -> str:
    deadline = time.monotonic() + known.timeout_s
    headers = {"Content-Type": "application/json"}
    options: dict[str, Any] = {"content": arguments, "headers": headers}
    with httpx.stream("POST", known.url, timeout=known.timeout_s, **options) as response:
        content = bytearray()
        for piece in response.iter_bytes(4096):
            content += piece
            if len(content) > 4 * MAX_RESULT:
                break
            if time.monotonic() > deadline:
                raise InputError(f"it took more than {known.timeout_s:g} s")
        text = content.decode("utf-8", "replace")
        if not response.is_success:
            raise InputError(f"status {response.status_code}: {text.strip():.500}")
        return text


def _cut(text: str) -> str:
    text = valid_text(text).strip()
    return text if len(text) <= MAX_RESULT else text[: MAX_RESULT - 1] + "…"
