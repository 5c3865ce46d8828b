"""Chromium with a WAV as microphone, and helpers for pages in it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.programs import need, path_of

PROGRAM = path_of("chromium") or ""
WAIT_MS = int(os.environ.get("REPARTEE_WAIT_MS", "120000"))  # for a busy machine

# Notes when the microphone's sound begins after silence, on the clock of the audio context.
WATCH = """() => {
  const chat = window.repartee;
  chat.onsets = [];
  let quiet = 0;
  const before = chat.audio.onLevel;
  chat.audio.onLevel = (who, level) => {
    before(who, level);
    if (who !== 'you') return;
    if (level < 0.003) quiet += 1;
    else {
      if (quiet > 50) chat.onsets.push(chat.audio.anchor[1] - 0.02);
      quiet = 0;
    }
  };
}"""


def need_chromium() -> Any:
    """Playwright's module; skips the test where it or a program is missing."""
    need("flite", "chromium")
    return pytest.importorskip("playwright.sync_api")


@contextlib.contextmanager
def chromium(
    playwright: Any, folder: Path, microphone: Path | None, *flags: str, allowed: bool = True
) -> Iterator[Any]:
    """A browser with an empty profile; `microphone` is played once from the moment it is opened.

    With `allowed` a page gets the microphone without asking; without, the prompt is never answered.
    """
    sound = [f"--use-file-for-fake-audio-capture={microphone}%noloop"] if microphone else []
    answer = "--use-fake-ui-for-media-stream" if allowed else "--deny-permission-prompts"
    context = playwright.chromium.launch_persistent_context(
        str(folder / "profile"),
        executable_path=PROGRAM,
        headless=False,
        timeout=WAIT_MS,
        accept_downloads=True,
        ignore_https_errors=True,
        viewport={"width": 1280, "height": 900},
        args=[
            "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio",
            "--use-fake-device-for-media-stream", answer, *sound,
            "--autoplay-policy=no-user-gesture-required", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-first-run", *flags,
        ],
    )  # fmt: skip
    context.set_default_timeout(WAIT_MS)
    try:
        yield context
    finally:
        context.close()


def open_page(context: Any, url: str) -> tuple[Any, dict[str, list[str]]]:
    """The page with a connected chat, and lists of its errors and third-party requests."""
    page = context.new_page()
    noted: dict[str, list[str]] = {"errors": [], "foreign": []}
    page.on("pageerror", lambda error: noted["errors"].append(str(error)))
    page.on("request", lambda request: _note_foreign(noted["foreign"], request.url, url))
    page.goto(url)
    page.wait_for_function("window.repartee")
    return page, noted


def agent_turns(page: Any) -> int:
    """Completed turns of the agent, which have a picture."""
    return page.locator(".rp-turn[data-who=agent] canvas").count()


def wait_for_agent(page: Any, more_than: int) -> None:
    page.wait_for_function(
        "count => document.querySelectorAll('.rp-turn[data-who=agent] canvas').length > count",
        arg=more_than,
    )


def _note_foreign(foreign: list[str], asked: str, url: str) -> None:
    place = url.partition("://")[2].partition("/")[0]
    own = tuple(f"{scheme}://{place}" for scheme in ("http", "ws", "https", "wss"))
    if not asked.startswith((*own, "blob:", "data:")):
        foreign.append(asked)
