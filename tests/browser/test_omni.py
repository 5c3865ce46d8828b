"""Speech-to-speech in Chromium with the bundled models: a spoken question, answered from its audio.

Screenshots go to the folder REPARTEE_SCREENSHOTS.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.audio import write_audio
from data.synthetic.answers import topic_named
from tests.app.user_sound import silence, spoken
from tests.browser.chromium import chromium, need_chromium, open_page, wait_for_agent
from tests.browser.command import running

pytestmark = pytest.mark.browser

QUESTION = "How much does the concert cost in Dublin?"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    sync_api = need_chromium()
    folder = tmp_path_factory.mktemp("visit")
    sound = [silence(4.0), spoken(QUESTION, folder), silence(60.0)]
    write_audio(folder / "microphone.wav", np.concatenate(sound))
    with (
        running() as url,
        sync_api.sync_playwright() as playwright,
        chromium(playwright, folder, folder / "microphone.wav") as context,
    ):
        yield visit(context, url)


def visit(context: Any, url: str) -> dict[str, Any]:
    page, seen = open_page(context, url)
    page.evaluate("document.querySelector('.rp-settings').open = true")
    page.select_option("select[name=responder]", "speech-to-speech")
    page.click(".rp-start")
    wait_for_agent(page, 0)
    seen["turns"] = page.locator(".rp-turn .rp-text").all_inner_texts()
    seen["figures"] = page.evaluate("window.repartee.figures")
    place = os.environ.get("REPARTEE_SCREENSHOTS")
    if place:
        page.screenshot(path=str(Path(place) / "omni.png"), full_page=True)
    return seen


def test_the_answer_is_on_the_spoken_question(seen: dict[str, Any]) -> None:
    asked, answer = seen["turns"]
    assert "concert" not in asked.lower()  # it was not recognised
    assert topic_named(answer) == "music"


def test_it_was_played(seen: dict[str, Any]) -> None:
    assert seen["figures"]["played"] > 12_000
    assert not seen["errors"] and not seen["foreign"]
