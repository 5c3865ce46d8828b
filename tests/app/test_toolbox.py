"""Functions that the server runs: what they return reaches the language model and the page."""

import copy
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from app.replies import Briefing, ChatMessage, messages_of
from app.settings import SessionSettings
from app.toolbox import MAX_RESULT, Toolbox, ToolResult, read_toolbox
from app.tools import ToolCall
from data.errors import InputError
from tests.app.stage import Stage

ECHO = "import sys; print('got', sys.stdin.read())"
SLEEP = "import time; time.sleep(60)"
FAIL = "import sys; sys.exit('no such city')"
ENDLESS = "print('x' * 1_000_000)"


def toolbox(folder: Path, *functions: dict[str, Any]) -> Toolbox:
    path = folder / "tools.json"
    path.write_text(json.dumps(list(functions)))
    return read_toolbox(path)


def python(name: str, program: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "command": [sys.executable, "-c", program], **more}


def run(box: Toolbox, name: str, arguments: str = "{}") -> ToolResult:
    return box.run(ToolCall("call_1", name, arguments)).result(30)


def test_a_command_gets_the_arguments_and_returns_what_it_prints(tmp_path: Path) -> None:
    result = run(toolbox(tmp_path, python("echo", ECHO)), "echo", '{"city": "Zürich"}')
    assert result.text == 'got {"city": "Zürich"}' and not result.failed


@pytest.mark.parametrize(
    ("program", "arguments", "message"),
    [
        (FAIL, "{}", "no such city"),
        (SLEEP, "{}", "more than 0.5 s"),
        (ECHO, "[1]", "no JSON object"),
        (ECHO, "{", "no JSON object"),
    ],
)
def test_what_fails_says_why(tmp_path: Path, program: str, arguments: str, message: str) -> None:
    begun = time.monotonic()
    result = run(toolbox(tmp_path, python("tool", program, timeout_s=0.5)), "tool", arguments)
    assert result.failed and message in result.text
    assert time.monotonic() - begun < 10


def test_an_unknown_function_and_a_missing_program_are_results(tmp_path: Path) -> None:
    box = toolbox(tmp_path, {"name": "gone", "command": ["/does/not/exist"]})
    assert "no function 'other'" in run(box, "other").text
    assert run(box, "gone").failed


def test_a_long_result_is_cut_off(tmp_path: Path) -> None:
    assert len(run(toolbox(tmp_path, python("long", ENDLESS)), "long").text) == MAX_RESULT


class Weather(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200 if asked.get("city") else 400)
        self.end_headers()
        self.wfile.write(f"rain in {asked.get('city')}".encode())

    def log_message(self, *args: object) -> None: ...


def test_a_url_gets_the_arguments_and_its_answer_is_the_result(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Weather)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    nested = {"type": "function", "function": {"name": "weather"}, "url": url}
    box = toolbox(tmp_path, nested)
    try:
        assert run(box, "weather", '{"city": "Oslo"}').text == "rain in Oslo"
        refused = run(box, "weather")
        assert refused.failed and "status 400" in refused.text
    finally:
        server.shutdown()
        server.server_close()
    assert run(box, "weather").failed


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "list of functions"),
        ("[", "not readable JSON"),
        ('[{"command": ["x"]}]', "'name' is missing"),
        ('[{"name": "a"}]', "either 'command' or 'url'"),
        ('[{"name": "a", "command": "ls"}]', "'command' is 'ls': Input should be a valid list"),
        (
            '[{"name": "a", "url": "http://x", "timeout_s": 0}]',
            "'timeout_s' is 0: ",
        ),
        ('[{"name": "a", "url": "http://x", "timeout_s": true}]', "'timeout_s' is True"),
        ('[{"name": "a", "command": ["x", 1]}]', "'command.1' is 1"),
        ('[{"name": "", "command": ["x"]}]', "'name' is ''"),
        ('[{"function": {"name": "a", "parameter": {}}, "url": "http://x"}]', "'parameter'"),
        ("[3]", "must be an object"),
        ('[{"name": "a", "url": "http://x", "parameters": []}]', "'parameters' is"),
        ('[{"name": "a", "urls": "http://x"}]', "unknown field 'urls'"),
        ('[{"name": "a", "url": "http://x"}, {"name": "a", "url": "http://y"}]', "twice"),
    ],
)
def test_a_bad_file_is_explained(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "tools.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_toolbox(path)


class Calling:
    """Calls a function where it may, until it has as many results as it wants, and then says so.

    Attributes:
        told: the messages of every request.
    """

    name = "endpoint"

    def __init__(self, wanted: int = 1, function: str = "echo") -> None:
        self.wanted, self.function = wanted, function
        self.told: list[list[dict[str, Any]]] = []
        self._briefing = Briefing()

    def briefed(self, briefing: Briefing) -> "Calling":
        other = copy.copy(self)
        other._briefing = briefing
        return other

    def reply(self, history: Sequence[ChatMessage]) -> "Calling":
        self.told.append(messages_of(history, self._briefing))
        results = [one for one in self.told[-1] if one["role"] == "tool"]
        is_done = len(results) >= self.wanted or not self._briefing.tools
        call = ToolCall(f"call_{len(results)}", self.function, '{"n": 1}')
        self.calls = () if is_done else (call,)
        self._pieces = iter(["It is done."] if is_done else [])
        return self

    def __iter__(self) -> Iterator[str]:
        return self._pieces


def wait_for(stage: Stage, is_there: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not is_there() and time.monotonic() < until:
        stage.wait(0.1)
        time.sleep(0.02)
    assert is_there()


def staged(folder: Path, model: Calling) -> Stage:
    settings = SessionSettings(toolbox=toolbox(folder, python("echo", ECHO)))
    stage = Stage(responder=model, settings=settings)
    stage.session.write("Do it.")
    return stage


def test_the_answer_uses_what_the_function_returned(tmp_path: Path) -> None:
    model = Calling()
    stage = staged(tmp_path, model)
    wait_for(stage, lambda: [turn for turn in stage.of("turn") if turn["who"] == "agent"])
    [calls], [returned] = stage.of("reply.calls"), stage.of("tool.returned")
    assert calls["calls"][0]["name"] == "echo"
    assert returned["call"] == "call_0" and returned["result"] == 'got {"n": 1}'
    assert not returned["failed"]
    assert model.told[-1][-1] == {
        "role": "tool", "tool_call_id": "call_0", "content": 'got {"n": 1}',
    }  # fmt: skip
    assert [turn["text"] for turn in stage.of("turn")] == ["Do it.", "It is done."]


def test_a_model_that_never_stops_calling_gets_no_functions(tmp_path: Path) -> None:
    model = Calling(wanted=1000)
    stage = staged(tmp_path, model)
    wait_for(stage, lambda: [turn for turn in stage.of("turn") if turn["who"] == "agent"])
    assert len(stage.of("tool.returned")) == 5


def test_the_model_and_the_page_learn_of_a_failure(tmp_path: Path) -> None:
    model = Calling(function="other")
    stage = staged(tmp_path, model)
    wait_for(stage, lambda: [turn for turn in stage.of("turn") if turn["who"] == "agent"])
    assert stage.one("tool.returned")["failed"]
    assert "no function" in model.told[-1][-1]["content"]
