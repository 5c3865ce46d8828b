"""The whole chat as a user sees it: `launch.py chat` over HTTPS, the bundled models, Chromium.

pocketsphinx recognises a WAV from the page's microphone, the built-in responder answers, the
bundled models speak, and the worklet plays.
"""

import os
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.audio import write_audio
from data.dialogue import Dialogue, check_ncssd, read_dialogue
from models.speaker import Speaker
from tests.app.user_sound import silence, spoken
from tests.browser.chromium import (
    agent_turns,
    chromium,
    need_chromium,
    open_page,
    wait_for_agent,
)
from tests.browser.command import running

pytestmark = pytest.mark.browser

NAME, QUESTION, INTERRUPTION = (
    "Hello, my name is John.",
    "What can you do?",  # it has the longest answer
    "I had a really good day at work today.",
)
TOKEN = "a-token-for-the-test"
HOST = "repartee.test"  # not localhost, so the microphone needs HTTPS
VOICE, OTHER_VOICE = "owen", "imogen"

# The number of pixels of the pitch curve in a picture, and of its colours.
LOOK = """canvas => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  const colours = new Set();
  let curve = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    colours.add(pixels[i] * 65536 + pixels[i + 1] * 256 + pixels[i + 2]);
    curve += pixels[i] > 200 && pixels[i + 1] > 180 && pixels[i + 2] < 140;
  }
  return { curve, colours: colours.size };
}"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Runs one visit and returns what the page showed."""
    sync_api = need_chromium()
    folder = tmp_path_factory.mktemp("visit")
    first, second, third = (spoken(text, folder) for text in (NAME, QUESTION, INTERRUPTION))
    sound = [silence(4.0), first, silence(14.0), second, silence(5.0), third, silence(90.0)]
    write_audio(folder / "microphone.wav", np.concatenate(sound))
    key, certificate = _certificate(folder)
    options = ["--host", "0.0.0.0", "--token", TOKEN, "--asr", "pocketsphinx", "--ssl-keyfile", key]
    with (
        running(*options, "--ssl-certfile", certificate, scheme="https") as url,
        sync_api.sync_playwright() as playwright,
        chromium(
            playwright,
            folder,
            folder / "microphone.wav",
            f"--host-resolver-rules=MAP {HOST} 127.0.0.1",
        ) as context,
    ):
        yield visit(context, url.replace("127.0.0.1", HOST), folder)


def _certificate(folder: Path) -> tuple[str, str]:
    key, certificate = str(folder / "key.pem"), str(folder / "certificate.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         f"/CN={HOST}", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate


def visit(context: Any, url: str, folder: Path) -> dict[str, Any]:
    page, seen = open_page(context, f"{url}?token={TOKEN}")
    seen["address"] = page.url
    choose(page, "voice", VOICE)
    page.click(".rp-start")
    wait_for_agent(page, 0)
    page.wait_for_selector(".rp-turn[data-cut=true] canvas")
    wait_for_agent(page, 2)
    seen["spoken"] = page.locator(".rp-turn .rp-text").all_inner_texts()
    before = agent_turns(page)
    choose(page, "voice", OTHER_VOICE)
    page.fill(".rp-type input", "What is my name?")
    page.keyboard.press("Enter")
    wait_for_agent(page, before)
    seen["turns"] = page.locator(".rp-turn .rp-text").all_inner_texts()
    seen["figures"] = page.evaluate("window.repartee.figures")
    replays(page, seen)
    seen["pictures"] = [canvas.evaluate(LOOK) for canvas in page.locator(".rp-turn canvas").all()]
    with page.expect_download() as download:
        page.click(".rp-download")
    download.value.save_as(folder / "dialogue.zip")
    with zipfile.ZipFile(folder / "dialogue.zip") as archive:
        archive.extractall(folder / "kept")
    seen["kept"] = folder / "kept"
    photograph(page)
    return seen


def choose(page: Any, name: str, value: str) -> None:
    page.evaluate("document.querySelector('.rp-settings').open = true")
    page.select_option(f"select[name={name}]", value)


def replays(page: Any, seen: dict[str, Any]) -> None:
    """Replays every turn with audio and measures the output by an analyser."""
    buttons = page.locator(".rp-replay")
    for number in range(buttons.count()):
        buttons.nth(number).click()
        page.wait_for_function(f"window.repartee.figures.replays.length > {number}")
    seen["replays"] = page.evaluate("window.repartee.figures.replays")


def photograph(page: Any) -> None:
    place = os.environ.get("REPARTEE_SCREENSHOTS")
    if not place:
        return
    for name, width, height in (("bundle-desktop", 1280, 1000), ("bundle-phone", 390, 844)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(500)
        page.screenshot(path=str(Path(place) / f"{name}.png"), full_page=True)


@pytest.fixture(scope="module")
def kept(seen: dict[str, Any]) -> Dialogue:
    return read_dialogue(seen["kept"] / "1")


def test_https_and_the_token_let_the_page_in(seen: dict[str, Any]) -> None:
    assert seen["errors"] == [] and seen["foreign"] == []
    assert seen["address"].startswith(f"https://{HOST}:") and TOKEN not in seen["address"]


def test_three_spoken_turns_are_recognised_and_answered(seen: dict[str, Any]) -> None:
    assert seen["spoken"][0] == "hello my name is john"
    assert "John" in seen["spoken"][1]
    assert seen["spoken"][2] == "what can you do"
    assert seen["spoken"][4] == "i had a really good day at work today"
    assert seen["turns"][-2:] == ["What is my name?", "Your name is John. I remember."]


def test_the_replies_were_played_by_the_worklet(seen: dict[str, Any], kept: Dialogue) -> None:
    assert seen["figures"]["levels"] > 0.02
    answers = [turn.load() for turn in kept.turns if turn.extra["role"] == "agent"]
    # the played audio equals the history's, to the sample
    assert seen["figures"]["played"] == pytest.approx(sum(map(len, answers)), abs=4)
    assert all(reply["parts"]["network and buffers"] > 0 for reply in seen["figures"]["replies"])


def test_the_interrupted_answer_is_kept_as_played(seen: dict[str, Any], kept: Dialogue) -> None:
    cut = kept.turns[3]
    samples = cut.load()
    assert cut.extra["cut"] and samples is not None
    assert abs(len(samples) - seen["figures"]["stops"][0]["played"]) <= 1
    assert cut.extra["intended"].startswith(cut.text)
    assert len(cut.text) < len(cut.extra["intended"])
    assert seen["spoken"][3] in (cut.text, "(not understood)")


def test_the_conversation_is_in_the_chosen_voices(seen: dict[str, Any], kept: Dialogue) -> None:
    assert check_ncssd(seen["kept"]) == []
    assert [turn.speaker for turn in kept.turns] == [0, 1] * 4
    speaker = Speaker.load()
    names = list(speaker.voices)
    known = torch.stack([speaker.voices[name].style for name in names])
    for turn in kept.turns[1::2]:
        style = speaker.style.encode(torch.from_numpy(turn.load())[None])
        nearest = names[int((known @ style[0]).argmax())]
        assert nearest == turn.extra["voice"]
    assert [turn.extra["voice"] for turn in kept.turns[1::2]] == [*[VOICE] * 3, OTHER_VOICE]


def test_every_turn_has_its_picture_and_its_replay(seen: dict[str, Any], kept: Dialogue) -> None:
    seconds = [len(turn.load()) / 24_000 for turn in kept.turns if not turn.extra.get("typed")]
    assert seen["replays"] == pytest.approx(seconds, abs=0.05)
    assert len(seen["pictures"]) == len(seconds)
    for picture in seen["pictures"]:
        assert picture["colours"] > 100
        assert picture["curve"] > 60
