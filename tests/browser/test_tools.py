"""The page shows function calls of the language model and their results."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.chat_endpoint import ChatEndpoint
from app.hub import HubSettings
from app.server import ServerSettings
from app.settings import SessionSettings
from app.toolbox import read_toolbox
from tests.app.language_model import event, language_model
from tests.app.live import engines, serving
from tests.browser.chromium import chromium, need_chromium, open_page

pytestmark = pytest.mark.browser

WEATHER = "import json, sys; print('rain in ' + json.load(sys.stdin)['city'])"
DONE = b"data: [DONE]\n\n"


def call(name: str) -> bytes:
    """A streamed function call."""
    function = {"name": name, "arguments": '{"city": "Oslo"}'}
    calls = [{"index": 0, "id": f"call_{name}", "function": function}]
    return (
        b"data: " + json.dumps({"choices": [{"delta": {"tool_calls": calls}}]}).encode() + b"\n\n"
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page whose typed question made the language model call two functions, one after another."""
    sync_api = need_chromium()
    folder: Path = tmp_path_factory.mktemp("tools")
    tools = [
        {"name": "weather", "command": [sys.executable, "-c", WEATHER]},
        {"name": "broken", "command": [sys.executable, "-c", "import sys; sys.exit('no line')"]},
    ]
    (folder / "tools.json").write_text(json.dumps(tools))
    toolbox = read_toolbox(folder / "tools.json")
    with language_model() as (model, url):
        answers = [[call("weather"), DONE], [call("broken"), DONE], [event("Take a coat."), DONE]]

        answer = model.do_POST

        def next_answer(handler: Any) -> None:
            model.pieces = answers.pop(0)
            answer(handler)

        model.do_POST = next_answer
        told = engines(responders={"model": ChatEndpoint(url, "model")})
        session = SessionSettings(toolbox=toolbox)
        settings = ServerSettings(page=True, hub=HubSettings(session=session))
        with (
            serving(told, settings) as (place, _),
            sync_api.sync_playwright() as playwright,
            chromium(playwright, folder, None) as context,
        ):
            page, noted = open_page(context, f"http://{place}/")
            page.locator(".rp-type input").fill("What is the weather in Oslo?")
            page.keyboard.press("Enter")
            page.wait_for_selector(".rp-turn[data-who=agent] .rp-line span:not(:empty)")
            page.noted = noted
            yield page


def test_calls_and_results_are_shown_in_their_order(page: Any) -> None:
    lines = page.locator(".rp-tool summary").all_inner_texts()
    assert [line.split()[0] for line in lines] == ["weather", "broken"]
    assert '{"city": "Oslo"}' in lines[0]
    assert "returned" in lines[0] and "rain in Oslo" in lines[0]
    assert "failed" in lines[1] and "no line" in lines[1]
    assert page.locator(".rp-turn[data-who=agent] .rp-text").inner_text() == "Take a coat."
    assert page.locator(".rp-turn").count() == 2
    assert not page.noted["errors"]


def test_arguments_and_result_open_by_keyboard(page: Any) -> None:
    first = page.locator(".rp-tool").first
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert first.evaluate("one => one.open")
    shown = first.locator("pre").all_inner_texts()
    assert json.loads(shown[0]) == {"city": "Oslo"} and shown[1].strip() == "rain in Oslo"
    folder = os.environ.get("REPARTEE_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / "tools.png"))


def test_a_screen_reader_hears_the_state(page: Any) -> None:
    states = page.locator(".rp-tool [role=status]").all_inner_texts()
    assert [state.split()[0] for state in states] == ["returned", "failed"]
