"""Tools that this server runs for its language models: commands and URLs from a JSON file.

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
from typing import Any

import httpx

from app.tools import Tool, ToolCall
from data.errors import InputError
from data.text import valid_text

MAX_RESULT = 16_384
"""Most characters of a result; the rest is cut off."""
_TIMEOUT_S = 10.0
_LONGEST_S = 120.0
_AT_ONCE = 8
_FIELDS = {"type", "name", "description", "parameters", "function", "command", "url", "timeout_s"}


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
    unknown = sorted(set(given) - _FIELDS)
    if unknown:
        raise InputError(f"{where} has an unknown field {unknown[0]!r:.60}")
    function = {**given, **given["function"]} if isinstance(given.get("function"), dict) else given
    name, parameters = function.get("name"), function.get("parameters", {})
    described = function.get("description", "")
    command, url = given.get("command", []), given.get("url", "")
    timeout_s = given.get("timeout_s", _TIMEOUT_S)
    if not isinstance(name, str) or not name or not isinstance(described, str):
        raise InputError(f"{where} needs a 'name', and a text as 'description' if any")
    if not isinstance(parameters, dict):
        raise InputError(f"{where} ({name}): 'parameters' must be a JSON schema")
    words = command if isinstance(command, list) else None
    if words is None or not all(isinstance(one, str) for one in words) or not isinstance(url, str):
        raise InputError(
            f"{where} ({name}): 'command' must be a list of texts, 'url' a text: "
            '"command": ["python3", "weather.py"]'
        )
    if bool(words) == bool(url):
        raise InputError(f"{where} ({name}) needs either 'command' or 'url'")
    number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if not number or not 0 < timeout_s <= _LONGEST_S:
        raise InputError(f"{where} ({name}): 'timeout_s' must be from 0 to {_LONGEST_S:g}")
    return ServerTool(Tool(name, described, parameters), tuple(words), url, float(timeout_s))


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
