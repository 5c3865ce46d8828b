"""Accessibility of the page, by axe-core (github.com/dequelabs/axe-core), in light and dark, on a
phone and a desktop. Nothing here installs it: npm puts it beside the stock clients."""

from pathlib import Path
from typing import Any

import pytest

from app.server import ServerSettings
from tests.app.live import engines, serving
from tests.app.stage import FakeRecognizer
from tests.browser.chromium import agent_turns, chromium, need_chromium, wait_for_agent
from tests.clients.test_stock_clients import CLIENTS

pytestmark = pytest.mark.browser

AXE = CLIENTS / "node/node_modules/axe-core/axe.min.js"
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
# Gradio's own: empty players have a name without a role, the upload a name it does not show.
_OF_GRADIO = {"aria-prohibited-attr", "label-content-name-mismatch"}


def found(page: Any) -> dict[str, list[Any]]:
    violations = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return {one["id"]: [node["target"] for node in one["nodes"]] for one in violations}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_is_accessible(size: str, theme: str, tmp_path: Path) -> None:
    if not AXE.is_file():
        pytest.skip(f"axe-core is not in {CLIENTS}/node: there, npm install axe-core")
    sync_api = need_chromium()
    recognizer = FakeRecognizer()
    recognizer.languages = ("en", "zh")
    with (
        serving(engines(recognizer=recognizer), ServerSettings(page=True)) as (place, _),
        sync_api.sync_playwright() as playwright,
        chromium(playwright, tmp_path, None) as context,
    ):
        page = context.new_page()
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.goto(f"http://{place}/?__theme={theme}")
        page.wait_for_function("window.repartee && document.querySelector('[name=voice]').value")
        page.evaluate(AXE.read_text())
        assert not found(page)  # before the first turn
        before = agent_turns(page)
        page.fill(".rp-type input", "my name is anna")
        page.click(".rp-type button")
        wait_for_agent(page, before)
        page.click(".rp-settings summary")
        assert not found(page)
        languages = page.locator("select[name=language] option").all_inner_texts()
        assert languages == ["English or Mandarin", "English", "Mandarin"]
        page.select_option("select[name=language]", "zh")
        assert page.evaluate("window.repartee.connection.settings.language") == "zh"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("tab", name="Clone a voice").click()
        page.wait_for_selector("text=Voice sample")
        assert not found(page).keys() - _OF_GRADIO
