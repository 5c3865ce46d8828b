"""Stored markup in a real browser: names, texts and errors from others are never executed."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from app.library import Library
from app.review import create_app
from app.server import ServerSettings
from data.audio import write_audio
from data.ncssd.review import Decision, Review
from data.ncssd.store import write_rows
from tests.app.live import engines, serving
from tests.app.test_markup import build_with
from tests.app.voice_sound import espeak_voice
from tests.browser.chromium import chromium, open_page
from tests.programs import need

pytestmark = pytest.mark.browser

MARKUP = (
    '<img src=x onerror="window.hacked = 1"><svg onload="window.hacked = 1"></svg>'
    "<script>window.hacked = 1</script>\"'>"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    need("chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with (
        sync_api.sync_playwright() as playwright,
        chromium(playwright, tmp_path_factory.mktemp("profile"), None) as context,
    ):
        yield context


def unharmed(page: Any, noted: dict[str, list[str]]) -> None:
    page.wait_for_timeout(1000)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0, "it is no picture either"
    assert noted["errors"] == [] and noted["foreign"] == []


def test_a_conversation_shows_markup_as_text(browser: Any) -> None:
    with serving(engines(), ServerSettings(page=True)) as (place, _):
        page, noted = open_page(browser, f"http://{place}/")
        page.fill(".rp-type input", f"My name is {MARKUP}.")
        page.keyboard.press("Enter")
        page.wait_for_selector(".rp-turn[data-who=user]")
        page.wait_for_selector(".rp-turn[data-who=agent] canvas")
        assert MARKUP in page.locator(".rp-turn[data-who=user] .rp-text").inner_text()
        unharmed(page, noted)


def test_the_cloning_tab_shows_markup_as_text(browser: Any, tmp_path: Path) -> None:
    write_audio(tmp_path / "sample.wav", espeak_voice())
    heard = engines(MARKUP, library=Library(tmp_path / "voices"))
    with serving(heard, ServerSettings(page=True)) as (place, _):
        page, noted = open_page(browser, f"http://{place}/")
        page.get_by_role("tab", name="Clone a voice").click()
        page.set_input_files("input[type=file]", str(tmp_path / "sample.wav"))
        page.get_by_label("I may use this voice").check()
        page.get_by_role("button", name="Clone", exact=True).click()
        page.wait_for_selector(".rp-listen button")
        said = page.get_by_label("Transcript of the sample")
        page.wait_for_function("field => field.value", arg=said.element_handle())
        assert said.input_value() == MARKUP
        text = page.get_by_label("Text (choose one or write your own)")
        text.fill(MARKUP)
        text.press("Enter")
        page.wait_for_function(
            "text => document.querySelector('.rp-listen button').dataset.text === text", arg=MARKUP
        )
        page.get_by_label("Name", exact=True).fill(MARKUP[:39])
        page.get_by_label("Consent: whose voice it is").fill(MARKUP)
        page.get_by_role("button", name="Keep this voice").click()
        page.get_by_text("is not a valid voice name").wait_for()
        unharmed(page, noted)


@contextlib.contextmanager
def reviewing(review: Review) -> Iterator[str]:
    config = uvicorn.Config(create_app(review), host="127.0.0.1", port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join(10)


def test_a_review_shows_markup_as_text_and_works(browser: Any, tmp_path: Path) -> None:
    root = build_with(tmp_path, MARKUP)
    review = Review(root)
    review.decide(Decision("100000001", "accepted", {0: MARKUP + "mended"}))
    rows = [json.loads(line) for line in (root / "dialogues.jsonl").read_text().splitlines()]
    rows[0]["turns"][0]["end"] = 1.3
    write_rows(root / "dialogues.jsonl", rows)
    with reviewing(Review(root)) as url:
        page = browser.new_page()
        noted: dict[str, list[str]] = {"errors": [], "foreign": []}
        page.on("pageerror", lambda error: noted["errors"].append(str(error)))
        page.goto(url)
        page.get_by_text("Earlier corrections").wait_for()
        page.get_by_text("onerror").first.wait_for(state="attached")
        unharmed(page, noted)
        page.get_by_role("button", name="Accept", exact=True).click()
        page.get_by_text("Kept: 100000001 is accepted").wait_for()
        page.get_by_role("button", name="Export what was accepted").click()
        page.get_by_text("Written to").wait_for()
        unharmed(page, noted)
    assert (root / "reviewed" / "100000001" / "metadata.json").is_file()


def test_a_report_shows_markup_as_text(browser: Any, tmp_path: Path) -> None:
    from data.ncssd.report import write_report

    page = browser.new_page()
    page.goto(write_report(build_with(tmp_path, MARKUP)).as_uri())
    assert page.get_by_text("onerror").count() >= 3
    unharmed(page, {"errors": [], "foreign": []})
