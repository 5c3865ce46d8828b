"""Response latency by the page's clock: bundled models, Whisper, an instant language model.

Prints one JSON object (`-s` shows it): from the end of speech to the first sample played, with its
parts, and from the start of speech over an answer to silence. On a busy machine
the figures are printed but not checked.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.audio import write_audio
from tests.app.language_model import event, language_model
from tests.app.user_sound import silence, spoken
from tests.browser.chromium import WATCH, chromium, need_chromium, open_page
from tests.browser.command import running

pytestmark = pytest.mark.browser

# The user's turns, and the seconds until the next. The third interrupts the answer to the second.
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
    pieces = [silence(3.0)]
    for text, gap_s in TALK * ROUNDS:
        pieces += [spoken(text, tmp_path), silence(gap_s)]
    write_audio(tmp_path / "microphone.wav", np.concatenate([*pieces, silence(60.0)]))
    seconds = sum(map(len, pieces)) / 24_000
    with (
        language_model() as (model, model_url),
        running("--asr", "whisper", "--llm-base-url", model_url, "--llm-model", "stub") as url,
        sync_api.sync_playwright() as playwright,
        chromium(playwright, tmp_path, tmp_path / "microphone.wav") as context,
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
