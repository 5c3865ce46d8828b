"""Every voice can be played before the microphone is used; words light up as they play."""

from pathlib import Path
from typing import Any

import pytest

from app.server import ServerSettings
from tests.app.live import engines, serving
from tests.browser.chromium import chromium, need_chromium, open_page, wait_for_agent

pytestmark = pytest.mark.browser

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


@pytest.mark.parametrize("screen", WIDTHS)
def test_voices_play_and_words_light_up(tmp_path: Path, screen: str) -> None:
    sync_api = need_chromium()
    with (
        serving(engines(), ServerSettings(page=True)) as (place, _),
        sync_api.sync_playwright() as playwright,
        chromium(playwright, tmp_path, None, allowed=False) as context,
    ):
        page, noted = open_page(context, f"http://{place}/")
        page.on("console", lambda message: _note(noted, message))
        width, height = WIDTHS[screen]
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_selector(".rp-voices button")
        labels = page.eval_on_selector_all(
            ".rp-voices button", "all => all.map((one) => one.getAttribute('aria-label'))"
        )
        assert len(labels) == 4 and all(label.startswith("Hear ") for label in labels)
        page.focus(".rp-voices button >> nth=1")
        page.keyboard.press("Enter")
        page.wait_for_function("window.repartee.audio.replaying")
        page.fill(".rp-type input", "my name is anna")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "[...document.querySelectorAll('.rp-said')].some((one) => one.textContent.length > 3)"
        )
        wait_for_agent(page, 0)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert not page.is_visible(".rp-voices")  # the conversation plays instead
        assert noted["errors"] == [] and noted["foreign"] == []


def _note(noted: dict[str, list[str]], message: Any) -> None:
    if message.type == "error":
        noted["errors"].append(message.text)
