"""The cloning tab in Chromium with the bundled models: clone from a file, play it, keep it, use it.

Screenshots go to the folder REPARTEE_SCREENSHOTS.
"""

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.library import Library
from data.audio import write_audio
from data.synthetic import speak
from tests.browser.chromium import chromium, need_chromium, open_page, wait_for_agent
from tests.browser.command import running

pytestmark = pytest.mark.browser

SAMPLE = (
    "We walked along the river until the lights of the town came on.",
    "Then my brother told me why he had sold the old boat.",
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Runs one visit and returns what the page showed."""
    sync_api = need_chromium()
    folder = tmp_path_factory.mktemp("visit")
    spoken = [speak("flite-awb", text, "neutral", 1)[0] for text in SAMPLE]
    write_audio(folder / "sample.wav", np.concatenate(spoken))
    with (
        library(folder / "voices"),
        running() as url,
        sync_api.sync_playwright() as playwright,
        chromium(playwright, folder, None) as context,
    ):
        yield visit(context, url, folder)


@contextlib.contextmanager
def library(folder: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REPARTEE_VOICES", str(folder))
        yield


def visit(context: Any, url: str, folder: Path) -> dict[str, Any]:
    page, seen = open_page(context, url)
    seen["folder"], seen["events"] = folder, []
    page.on(
        "websocket",
        lambda socket: socket.on("framereceived", lambda data: note(seen["events"], data)),
    )
    page.get_by_role("tab", name="Clone a voice").click()
    page.set_input_files("input[type=file]", str(folder / "sample.wav"))
    page.get_by_role("button", name="Clone", exact=True).click()
    page.get_by_text("tick the box").wait_for()
    page.get_by_label("I may use this voice").check()
    page.get_by_role("button", name="Clone", exact=True).click()
    page.wait_for_selector(".rp-listen button")
    seen["models"] = page.locator(".rp-listen button").all_inner_texts()
    seen["heard"] = []
    for number in range(len(seen["models"])):
        page.locator(".rp-listen button").nth(number).click()
        page.wait_for_function("n => window.reparteeListen.finished === n", arg=number + 1)
        seen["heard"].append(page.evaluate("({...window.reparteeListen})"))
    said = page.get_by_label("Transcript of the sample")
    page.wait_for_function("field => field.value", arg=said.element_handle())
    seen["said"] = said.input_value()
    page.get_by_role("button", name="Compare").click()
    likeness = page.get_by_text("Similarity to the sample (1 is the same)")
    likeness.wait_for()
    seen["likeness"] = likeness.inner_text()
    _picture(page, "clone", 1280)
    _picture(page, "clone-phone", 390)
    page.get_by_role("button", name="Discard it").click()
    likeness.wait_for(state="hidden")
    seen["left"] = [page.locator(".rp-listen button").count(), said.input_value()]
    page.get_by_role("button", name="Clone", exact=True).click()
    page.wait_for_selector(".rp-listen button")
    page.wait_for_function("field => field.value", arg=said.element_handle())
    page.get_by_label("Name", exact=True).fill("anna")
    page.get_by_label("Consent: whose voice it is").fill("A synthesizer, for a test")
    page.get_by_role("button", name="Keep this voice").click()
    page.get_by_text("Kept as").wait_for()
    page.goto(url)
    page.wait_for_function("window.repartee")
    page.click(".rp-start")
    page.wait_for_selector("select[name=voice] option[value=anna]", state="attached")
    page.click(".rp-settings summary")
    page.select_option("select[name=voice]", "anna")
    page.fill(".rp-type input", "Hello.")
    page.click(".rp-type button")
    wait_for_agent(page, 0)
    seen["played"] = page.evaluate("window.repartee.figures.played")
    return seen


def note(events: list[dict[str, Any]], data: str | bytes) -> None:
    if isinstance(data, str):
        events.append(json.loads(data))


def _picture(page: Any, name: str, width: int) -> None:
    place = os.environ.get("REPARTEE_SCREENSHOTS")
    if place:
        page.set_viewport_size({"width": width, "height": 900})
        page.screenshot(path=str(Path(place) / f"{name}.png"), full_page=True)
        page.set_viewport_size({"width": 1280, "height": 900})


def test_every_model_plays_as_it_streams(seen: dict[str, Any]) -> None:
    assert seen["models"][0] == "Hear gpt-talker"
    played = [0, *(heard["played"] for heard in seen["heard"])]
    assert all(after - before > 12_000 for before, after in itertools.pairwise(played))
    assert all(heard["firstMs"] > 0 for heard in seen["heard"])


def test_the_sample_is_transcribed(seen: dict[str, Any]) -> None:
    words = set(" ".join(SAMPLE).lower().replace(".", "").split())
    heard = seen["said"].split()
    assert len(words & set(heard)) > len(words) / 2


def test_what_is_discarded_is_gone(seen: dict[str, Any]) -> None:
    assert seen["left"] == [0, ""]


def test_similarity_is_shown_per_model(seen: dict[str, Any]) -> None:
    for model in seen["models"]:
        assert model.removeprefix("Hear ") in seen["likeness"]


def test_the_kept_voice_speaks_in_the_chat_and_stays(seen: dict[str, Any]) -> None:
    turns = [e for e in seen["events"] if e.get("type") == "turn" and e.get("who") == "agent"]
    assert [turn["voice"] for turn in turns] == ["anna"]
    assert seen["played"] > 6000
    assert Library(seen["folder"] / "voices").names() == ["anna"]


def test_nothing_went_wrong_in_the_page(seen: dict[str, Any]) -> None:
    assert seen["errors"] == [] and seen["foreign"] == []
