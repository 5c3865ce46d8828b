"""Response latency by the page's clock: bundled models, Whisper, an instant language model.

A bundled voice is the user: Smart Turn judges intonation, which flite's lacks. Prints one JSON
object (`-s` shows it): from the end of speech to the first sample played, with its parts, and from
the start of speech over an answer to silence. On a busy machine the figures are printed but not
checked.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from data.audio import SAMPLE_RATE, read_audio, write_audio
from tests.app.language_model import event, language_model
from tests.app.user_sound import silence
from tests.browser.chromium import WATCH, chromium, need_chromium, open_page
from tests.browser.command import running

pytestmark = pytest.mark.browser

# The user's turns, and the seconds until the next. The third interrupts the answer to the second.
VOICE = "nora"
TALK = (
    ("What do you think about the weather?", 9.0),
    ("What can you do?", 4.0),
    ("I had a really good day at work today.", 9.0),
)
ANSWER = "That is a good question, and I am glad that you asked. Let me think about it a little."
ROUNDS = 4
FIRST_AUDIO_MS, SILENCE_MS = 1200, 450


def test_the_wait_for_an_answer_and_for_silence(tmp_path: Path) -> None:
    sync_api = need_chromium()
    load = os.getloadavg()[0]
    with (
        language_model() as (model, model_url),
        running("--asr", "whisper", "--llm-base-url", model_url, "--llm-model", "stub") as url,
        sync_api.sync_playwright() as playwright,
        microphone(url, tmp_path) as (path, seconds),
        chromium(playwright, tmp_path, path) as context,
    ):
        model.pieces = [event(ANSWER), b"data: [DONE]\n\n"]
        page, noted = open_page(context, url)
        page.evaluate(WATCH)
        page.click(".rp-start")
        page.wait_for_timeout(1000 * (seconds + 6))
        figures = page.evaluate("window.repartee.figures")
        onsets = page.evaluate("window.repartee.onsets")
    assert noted["errors"] == []
    result = summarise(figures, onsets) | {"load_before": round(load, 2)}
    print(json.dumps(result))
    assert result["turns"] >= 2 * ROUNDS
    if load > 0.5 * (os.cpu_count() or 1):
        pytest.skip(f"the machine was busy (load {load:.1f}): its times say nothing")
    assert result["first_audio_ms_p50"] <= FIRST_AUDIO_MS
    assert result["interruptions"] >= ROUNDS - 1
    assert result["speech_to_silence_ms_max"] <= SILENCE_MS


@contextlib.contextmanager
def microphone(url: str, folder: Path) -> Iterator[tuple[Path, float]]:
    """A file with all turns, spoken by the server, and their duration in seconds."""
    pieces = [silence(3.0)]
    for number, (text, gap_s) in enumerate(TALK * ROUNDS):
        request = {"input": text, "voice": VOICE, "seed": number, "response_format": "wav"}
        answer = httpx.post(f"{url}v1/audio/speech", json=request, timeout=60.0)
        (folder / "turn.wav").write_bytes(answer.raise_for_status().content)
        pieces += [read_audio(folder / "turn.wav"), silence(gap_s)]
    path = folder / "microphone.wav"
    write_audio(path, np.concatenate([*pieces, silence(60.0)]))
    yield path, sum(map(len, pieces)) / SAMPLE_RATE


def summarise(figures: dict[str, Any], onsets: list[float]) -> dict[str, Any]:
    replies = [reply for reply in figures["replies"] if reply["spoken"]]
    first = [reply["first_audio_ms"] for reply in replies]
    silences = [
        1000 * (stop["at"] - max(onset for onset in onsets if onset < stop["at"]))
        for stop in figures["stops"]
    ]
    parts = {
        name: round(float(np.median([reply["parts"][name] for reply in replies])))
        for name in replies[0]["parts"]
    }
    return {
        "turns": len(first),
        "first_audio_ms_p50": round(float(np.median(first))),
        "first_audio_ms_max": round(max(first)),
        "parts_ms_p50": parts,
        "interruptions": len(silences),
        "speech_to_silence_ms_p50": round(float(np.median(silences))) if silences else None,
        "speech_to_silence_ms_max": round(max(silences)) if silences else None,
        "underruns": figures["underruns"],
    }
