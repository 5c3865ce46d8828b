"""The page under failures, and by keyboard alone."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.chat_endpoint import ChatEndpoint
from app.endpointing import AudioInputSettings
from app.hub import HubSettings
from app.replies import ChatMessage
from app.server import ServerSettings
from app.settings import SessionSettings
from tests.app.fake_speaker import WORD_SAMPLES, FakeSpeaker
from tests.app.language_model import event, language_model
from tests.app.live import engines, serving
from tests.app.user_sound import speechlike
from tests.browser.chromium import agent_turns, chromium, need_chromium, open_page, wait_for_agent

pytestmark = pytest.mark.browser

HOST = "repartee.test"
SHOWN = ServerSettings(page=True)
Browse = Callable[[bool], Any]


@pytest.fixture(scope="module")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Any]]:
    """Two browsers: one grants the microphone to every page, the other to none."""
    sync_api = need_chromium()
    mapped = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    with (
        sync_api.sync_playwright() as playwright,
        chromium(playwright, tmp_path_factory.mktemp("yes"), None, mapped) as allowing,
        chromium(playwright, tmp_path_factory.mktemp("no"), None, mapped, allowed=False) as denying,
    ):
        yield {True: allowing, False: denying}


def notice(page: Any) -> str:
    page.wait_for_function("document.querySelector('.rp-notice').textContent")
    return page.inner_text(".rp-notice")


def write(page: Any, text: str) -> str:
    """Types a turn, waits for the end of the answer and returns it."""
    before = agent_turns(page)
    page.fill(".rp-type input", text)
    page.keyboard.press("Enter")
    wait_for_agent(page, before)
    return page.locator(".rp-turn[data-who=agent] .rp-text").last.inner_text()


def test_a_denied_microphone_is_explained_and_typing_works(browsers: dict[bool, Any]) -> None:
    with serving(engines(), SHOWN) as (place, _):
        page, noted = open_page(browsers[False], f"http://{place}/")
        page.click(".rp-start")
        said = notice(page)
        assert "was denied" in said and "type below" in said
        assert page.inner_text(".rp-start") == "Start talking"
        assert "Anna" in write(page, "my name is anna")
        assert noted["errors"] == []
        page.close()


def test_plain_http_elsewhere_than_here_is_explained(browsers: dict[bool, Any]) -> None:
    with serving(engines(), SHOWN) as (place, _):
        page, _ = open_page(browsers[True], f"http://{place.replace('127.0.0.1', HOST)}/")
        assert "--self-signed" in notice(page)
        page.click(".rp-start")
        page.wait_for_function("document.querySelector('.rp-start').ariaDisabled === 'false'")
        assert "over HTTPS or on localhost" in notice(page)
        assert "Bob" in write(page, "my name is bob")
        assert page.evaluate("window.repartee.figures.levels") > 0.1  # it plays without a worklet
        page.close()


def test_a_busy_server_is_reported(browsers: dict[bool, Any]) -> None:
    settings = ServerSettings(hub=HubSettings(max_sessions=1), page=True)
    with serving(engines(), settings) as (place, _):
        first, _ = open_page(browsers[True], f"http://{place}/")
        assert write(first, "hello")
        second, _ = open_page(browsers[True], f"http://{place}/")
        second.click(".rp-start")
        assert "sessions are in use" in notice(second)
        assert second.inner_text(".rp-state b") == "Not started"
        first.close()
        second.close()


def test_voice_and_speech_model_can_be_chosen_before_and_during_a_talk(
    browsers: dict[bool, Any],
) -> None:
    told = engines()
    with serving(told, SHOWN) as (place, _):
        page, _ = open_page(browsers[True], f"http://{place}/")
        page.click(".rp-settings summary")
        page.select_option("select[name=voice]", "kal")
        write(page, "hello")
        page.select_option("select[name=voice]", "rms")
        page.select_option("select[name=predictor]", "flow-omni")
        write(page, "hello again")
        turns = page.locator(".rp-turn[data-who=agent]")
        assert [dialogue.predictor for dialogue in told.speaker.dialogues] == [
            "gpt-talker",
            "flow-omni",
        ]
        for number, hz in ((0, 220), (1, 330)):
            assert strongest_hz(page, int(turns.nth(number).get_attribute("data-turn"))) == hz
        page.close()


def test_the_silence_that_ends_a_turn_is_shown_as_the_server_has_it(
    browsers: dict[bool, Any],
) -> None:
    session = SessionSettings(audio_input=AudioInputSettings(silence_ms=2400))
    with serving(engines(), ServerSettings(hub=HubSettings(session=session))) as (place, _):
        page, _ = open_page(browsers[True], f"http://{place}/")
        page.wait_for_function("document.querySelector('[name=silence_ms]').value === '2400'")
        assert page.text_content("label:has([name=silence_ms]) output") == "2400 ms"
        page.close()


def strongest_hz(page: Any, turn: int) -> int:
    """The number of whole periods in one second of a turn's audio, as fetched for its replay."""
    return page.evaluate(
        """async (turn) => {
          const samples = (await window.repartee.fetchTurn(turn)).getChannelData(0);
          let crossings = 0;
          for (let i = 1; i <= 12000; i++) crossings += samples[i - 1] < 0 && samples[i] >= 0;
          return 2 * crossings;
        }""",
        turn,
    )


def test_a_failing_language_model_is_reported_and_the_conversation_continues(
    browsers: dict[bool, Any],
) -> None:
    with language_model() as (model, url):
        told = engines(responders={"small": ChatEndpoint(url, "small")})
        with serving(told, SHOWN) as (place, _):
            page, _ = open_page(browsers[True], f"http://{place}/")
            page.wait_for_function("document.querySelector('.rp-who').textContent")
            assert page.inner_text(".rp-who") == "Answers come from small."
            model.status = 503
            page.fill(".rp-type input", "hello")
            page.keyboard.press("Enter")
            assert "answered 503" in notice(page)
            model.status, model.pieces = 200, [event("I am **back** "), event("again.")]
            assert write(page, "and now") == "I am **back** again."
            assert page.inner_text(".rp-notice") == ""
            page.close()


def test_an_answer_plays_while_its_text_streams(browsers: dict[bool, Any]) -> None:
    with language_model() as (model, url):
        told = engines(responders={"small": ChatEndpoint(url, "small")})
        model.pieces = [event("One whole sentence is here. "), event("Two.")]
        with serving(told, SHOWN) as (place, _):
            page, _ = open_page(browsers[True], f"http://{place}/")
            model.gate.clear()
            page.fill(".rp-type input", "hello")
            page.keyboard.press("Enter")
            page.wait_for_function("window.repartee.figures.played > 4800")
            assert page.inner_text(".rp-turn[data-who=agent] .rp-text").endswith("here.")
            model.gate.set()
            wait_for_agent(page, 0)
            assert page.inner_text(".rp-turn[data-who=agent] .rp-text").endswith("here. Two.")
            page.close()


def test_a_lost_connection_comes_back_with_the_same_conversation(
    browsers: dict[bool, Any],
) -> None:
    with serving(engines(), SHOWN) as (place, _):
        page, _ = open_page(browsers[True], f"http://{place}/")
        write(page, "my name is anna")
        session = page.evaluate("window.repartee.connection.session")
        page.evaluate("window.repartee.connection.socket.close()")
        page.wait_for_function("!window.repartee.connection.ready")
        page.wait_for_function("window.repartee.connection.ready")
        assert page.evaluate("window.repartee.connection.session") == session
        assert "Anna" in write(page, "what is my name")
        assert page.locator(".rp-turn").count() == 4
        page.close()


class LongThenShort:
    name = "told"

    def __init__(self) -> None:
        self.answers = [" ".join(f"word{number}" for number in range(100)), "That is all right."]

    def reply(self, history: Sequence[ChatMessage]) -> Iterator[str]:
        yield self.answers.pop(0)


def test_a_new_conversation_is_silent_at_once_and_plays_its_first_reply(
    browsers: dict[bool, Any],
) -> None:
    """Both replies have the number 1: the second was mistaken for a continuation of the first."""
    with serving(engines(responders={"told": LongThenShort()}), SHOWN) as (place, _):
        page, noted = open_page(browsers[True], f"http://{place}/")
        page.fill(".rp-type input", "hello")
        page.keyboard.press("Enter")
        page.wait_for_function("window.repartee.figures.played > 12000")
        page.click(".rp-new")
        page.wait_for_timeout(300)  # a report may be on its way
        played = page.evaluate("window.repartee.figures.played")
        page.wait_for_timeout(500)
        assert page.evaluate("window.repartee.figures.played") == played
        assert write(page, "hello again") == "That is all right."
        heard = page.evaluate("window.repartee.figures.played") - played
        assert heard >= 0.95 * 4 * WORD_SAMPLES
        assert noted["errors"] == []
        page.close()


def test_speech_in_progress_when_talking_is_stopped_is_answered(browsers: dict[bool, Any]) -> None:
    with serving(engines("my name is anna"), SHOWN) as (place, _):
        page, noted = open_page(browsers[True], f"http://{place}/")
        page.evaluate("window.repartee.connect()")
        page.evaluate(
            """(pcm) => {
              for (let at = 0; at < pcm.length; at += 480) {
                window.repartee.audio.onSound(Int16Array.from(pcm.slice(at, at + 480)));
              }
            }""",
            (32767 * speechlike(1.2)).astype(int).tolist(),
        )
        page.wait_for_selector(".rp-state[data-state=hearing]")
        page.evaluate("window.repartee.stopTalking()")
        wait_for_agent(page, 0)
        said = page.locator(".rp-turn .rp-text").all_inner_texts()
        assert said[0] == "my name is anna" and "Anna" in said[1]
        page.wait_for_selector(".rp-state[data-state=listening]")
        assert noted["errors"] == []
        page.close()


def test_everything_can_be_reached_and_done_with_keys(browsers: dict[bool, Any]) -> None:
    with serving(engines(speaker=FakeSpeaker()), SHOWN) as (place, _):
        page, _ = open_page(browsers[True], f"http://{place}/")
        focus(page, ".rp-start")
        page.keyboard.press("Space")
        page.wait_for_function("window.repartee.talking")
        page.keyboard.press("Space")
        page.wait_for_function("!window.repartee.talking")
        focus(page, ".rp-type input")
        page.keyboard.type("hello")
        page.keyboard.press("Enter")
        wait_for_agent(page, 0)
        focus(page, ".rp-replay")
        page.keyboard.press("Enter")
        page.wait_for_function("window.repartee.figures.replays.length > 0")
        focus(page, ".rp-settings summary")
        page.keyboard.press("Enter")
        for name in ("voice", "predictor", "responder", "silence_ms", "temperature", "rate"):
            focus(page, f"[name={name}]")
        focus(page, "[name=interrupt]")
        focus(page, ".rp-download")
        focus(page, ".rp-new")
        page.keyboard.press("Enter")
        page.wait_for_function("!document.querySelectorAll('.rp-turn').length")
        page.close()


def focus(page: Any, selector: str) -> None:
    """Goes there by the Tab key alone; the focus must be visible."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"{selector} does not show that it has the focus"
            return
    raise AssertionError(f"{selector} cannot be reached with the Tab key")


def test_it_looks_whole(browsers: dict[bool, Any]) -> None:
    """Nothing is wider than the screen, in light and dark, before the first turn."""
    place = os.environ.get("REPARTEE_SCREENSHOTS")
    with serving(engines(), SHOWN) as (server, _):
        page, _ = open_page(browsers[True], f"http://{server}/")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(f"http://{server}/?__theme={scheme}")
            page.wait_for_function("window.repartee")
            for name, width, height in (("desktop", 1280, 900), ("phone", 390, 844)):
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(300)
                wide = "document.documentElement.scrollWidth - window.innerWidth"
                assert page.evaluate(wide) <= 0
                if place:
                    page.screenshot(path=str(Path(place) / f"empty-{name}-{scheme}.png"))
        page.close()
