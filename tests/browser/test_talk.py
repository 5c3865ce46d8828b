"""The page in a real Chromium, with a WAV as microphone: talk, interrupt, type, replay, keep.

pocketsphinx recognises and the worklets play; only the speaker is a fake that produces tones, so
that played words can be counted. Screenshots go to the folder REPARTEE_SCREENSHOTS. On a machine
too busy for recognition in real time, REPARTEE_RECOGNISER=fake replaces it.
"""

import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.replies import ChatMessage
from app.server import ServerSettings
from data.audio import write_audio
from data.dialogue import check_ncssd, read_dialogue
from data.recognition.sphinx import SphinxRecognizer
from tests.app.live import engines, serving
from tests.app.stage import FakeRecognizer
from tests.app.user_sound import silence, spoken
from tests.browser.chromium import (
    WATCH,
    agent_turns,
    chromium,
    need_chromium,
    open_page,
    wait_for_agent,
)

pytestmark = pytest.mark.browser

QUESTION, INTERRUPTION = (
    "What do you think about the weather?",
    "I had a really good day at work today.",
)
LEAD_S, GAP_S, TAIL_S = 4.0, 14.0, 60.0  # allowance for a busy machine
LONG = " ".join(f"word{number}" for number in range(400))  # 80 s, so it must be interrupted


class LongThenShort:
    """Answers at length first, so that there is something to interrupt."""

    name = "endpoint"

    def reply(self, history: Sequence[ChatMessage]) -> Iterator[str]:
        yield LONG if len(history) == 1 else "That is all right then."


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Runs one visit and returns what the page showed."""
    sync_api = need_chromium()
    folder = tmp_path_factory.mktemp("visit")
    first, second = spoken(QUESTION, folder), spoken(INTERRUPTION, folder)
    sound = [silence(LEAD_S), first, silence(GAP_S), second, silence(TAIL_S)]
    write_audio(folder / "microphone.wav", np.concatenate(sound))
    recognizer = chosen_recognizer()
    told = engines(recognizer=recognizer, responders={"told": LongThenShort()})
    try:
        with (
            serving(told, ServerSettings(page=True)) as (place, _),
            sync_api.sync_playwright() as playwright,
            chromium(playwright, folder, folder / "microphone.wav") as context,
        ):
            yield visit(context, place, folder)
    finally:
        recognizer.close()


def chosen_recognizer() -> SphinxRecognizer | FakeRecognizer:
    if os.environ.get("REPARTEE_RECOGNISER") == "fake":
        return FakeRecognizer(QUESTION.lower().rstrip("?"), INTERRUPTION.lower().rstrip("."))
    recognizer = SphinxRecognizer()
    assert recognizer.wait_ready(240)
    return recognizer


def visit(context: Any, place: str, folder: Path) -> dict[str, Any]:
    page, seen = open_page(context, f"http://{place}/")
    seen["folder"] = folder
    page.evaluate(WATCH)
    page.click(".rp-start")
    talk(page, seen)
    write(page, seen)
    keep(page, seen, folder)
    look(page, seen)
    return seen


def talk(page: Any, seen: dict[str, Any]) -> None:
    """The question is answered at length, and the answer interrupted."""
    page.wait_for_selector(".rp-turn[data-who=user] canvas")
    seen["question"] = page.inner_text(".rp-turn[data-who=user] .rp-text")
    page.wait_for_function("window.repartee.figures.played > 12000")
    seen["state"] = page.inner_text(".rp-state b")
    page.wait_for_selector(".rp-turn[data-cut=true]")
    wait_for_agent(page, 1)
    seen["cut"] = page.inner_text(".rp-turn[data-cut=true] .rp-text")
    seen["lost"] = page.inner_text(".rp-turn[data-cut=true] .rp-lost")
    seen["turns"] = page.locator(".rp-turn .rp-text").all_inner_texts()
    seen["figures"] = page.evaluate("window.repartee.figures")
    seen["onsets"] = page.evaluate("window.repartee.onsets")


def write(page: Any, seen: dict[str, Any]) -> None:
    before = agent_turns(page)
    page.fill(".rp-type input", "Do you like music?")
    page.keyboard.press("Enter")
    wait_for_agent(page, before)
    seen["typed"] = page.locator(".rp-turn .rp-text").all_inner_texts()[-2:]
    page.locator(".rp-turn[data-who=user] .rp-replay").first.click()
    page.wait_for_function("window.repartee.figures.replays.length > 0")
    seen["replayed_s"] = page.evaluate("window.repartee.figures.replays[0]")


def keep(page: Any, seen: dict[str, Any], folder: Path) -> None:
    with page.expect_download() as download:
        page.click(".rp-download")
    download.value.save_as(folder / "dialogue.zip")
    with zipfile.ZipFile(folder / "dialogue.zip") as archive:
        archive.extractall(folder / "kept")
    seen["pitch"] = page.evaluate(
        """async () => {
          const { pitch } = await import('/repartee/picture.js');
          const tone = Float32Array.from({ length: 24000 }, (_, i) => {
            let sum = 0;
            for (let k = 1; k < 6; k++) sum += Math.sin((2 * Math.PI * 220 * k * i) / 24000) / k;
            return 0.1 * sum;
          });
          return [...pitch(tone, 24000, 50)];
        }"""
    )


def look(page: Any, seen: dict[str, Any]) -> None:
    place = os.environ.get("REPARTEE_SCREENSHOTS")
    page.click(".rp-settings summary")
    for name, width, height in (("desktop", 1280, 1000), ("phone", 390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(500)
        seen[f"overflow_{name}"] = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        if place:
            page.screenshot(path=str(Path(place) / f"{name}.png"), full_page=True)


def test_the_page_is_whole_and_asks_nothing_of_others(seen: dict[str, Any]) -> None:
    assert seen["errors"] == []
    assert seen["foreign"] == []


def test_the_question_is_recognised_and_the_answer_played(seen: dict[str, Any]) -> None:
    assert seen["question"] == "what do you think about the weather"
    assert seen["state"] == "Speaking"
    assert seen["figures"]["levels"] > 0.15  # played, not only sent
    first = seen["figures"]["replies"][0]
    assert first["first_audio_ms"] > 500  # includes the silence that ends a turn
    assert 480 <= first["parts"]["end of turn"] <= 600
    # network and buffers: unknown to the server, and never negative
    assert first["parts"]["network and buffers"] > 20


def test_a_second_turn_interrupts_and_history_keeps_what_was_played(seen: dict[str, Any]) -> None:
    heard = seen["cut"].split()
    assert 0 < len(heard) < 400
    assert heard == LONG.split()[: len(heard)]
    assert seen["lost"].split() == [*LONG.split()[len(heard) : len(heard) + 12], "…"]
    # the kept words are those that the worklet has played, 200 ms each
    stop = seen["figures"]["stops"][0]
    assert len(heard) == int(np.ceil(stop["played"] / 4800))
    assert seen["turns"][-2] == "i had a really good day at work today"
    assert seen["turns"][-1] == "That is all right then."


def test_typing_and_replay_work(seen: dict[str, Any]) -> None:
    assert seen["typed"] == ["Do you like music?", "That is all right then."]
    assert seen["replayed_s"] > 1.5


def test_the_conversation_downloads_and_loads(seen: dict[str, Any]) -> None:
    assert check_ncssd(seen["folder"] / "kept") == []
    dialogue = read_dialogue(seen["folder"] / "kept" / "1")
    assert [turn.speaker for turn in dialogue.turns] == [0, 1, 0, 1, 0, 1]
    assert dialogue.turns[1].text == seen["cut"]
    samples = dialogue.turns[1].load()
    assert samples is not None
    assert abs(len(samples) - seen["figures"]["stops"][0]["played"]) <= 1


def test_the_pitch_curve_is_right(seen: dict[str, Any]) -> None:
    voiced = [hz for hz in seen["pitch"] if hz]
    assert len(voiced) > 40
    assert abs(np.median(voiced) - 220) < 6


def test_nothing_is_wider_than_the_screen(seen: dict[str, Any]) -> None:
    assert seen["overflow_desktop"] <= 0
    assert seen["overflow_phone"] <= 0


def test_times(seen: dict[str, Any]) -> None:
    """Only an otherwise idle machine keeps up with real time."""
    first = [reply["first_audio_ms"] for reply in seen["figures"]["replies"]]
    stop = seen["figures"]["stops"][0]["at"]
    quiet_ms = 1000 * (stop - max(onset for onset in seen["onsets"] if onset < stop))
    print(f"first audio {[round(ms) for ms in first]} ms, speech to silence {quiet_ms:.0f} ms")
    load = os.getloadavg()[0]
    if load > (os.cpu_count() or 1):
        pytest.skip(f"the machine is busy (load {load:.1f}): its times say nothing")
    assert np.median(first) <= 1200
    assert quiet_ms <= 450
