"""Recordings become text over HTTP, by the chat's own recogniser."""

import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from app.library import Library
from app.sphinx import SphinxRecognizer
from data.errors import RepError
from tests.app.live import engines, serving
from tests.app.stage import ToldRecognizer
from tests.app.user_sound import speechlike, spoken
from tests.app.voice_sound import espeak_voice


def wav(samples: np.ndarray, rate: int = 24_000) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV")
    return buffer.getvalue()


def post(place: str, content: bytes, **fields: str) -> httpx.Response:
    return httpx.post(
        f"http://{place}/v1/audio/transcriptions",
        files={"file": ("turn.wav", content)},
        data={"model": "whisper-1", **fields},
        timeout=120,
    )


def test_a_recording_becomes_its_words(tmp_path: Path) -> None:
    recognizer = SphinxRecognizer()
    content = wav(spoken("What do you think about the weather?", tmp_path))
    try:
        with serving(engines(recognizer=recognizer)) as (place, _):
            assert post(place, content).json() == {"text": "what do you think about the weather"}
    finally:
        recognizer.close()


def test_formats_of_the_answer() -> None:
    told: Any = ToldRecognizer("one", "two", "three")
    with serving(engines(recognizer=told)) as (place, _):
        content = wav(speechlike(1.3))
        assert post(place, content).json() == {"text": "one"}
        assert post(place, content, response_format="text").text == "two\n"
        whole = post(place, content, response_format="verbose_json").json()
        assert (whole["text"], whole["duration"]) == ("three", 1.3)
        # all of the sound, once
        assert [one.num_samples for one in told.opened] == [31_200] * 3


@pytest.mark.parametrize(
    ("content", "fields", "status"),
    [
        (b"", {}, 400),
        (b"no sound at all", {}, 400),
        (wav(np.zeros(8_000 * 121, np.float32), 8_000), {}, 400),
        (wav(speechlike(0.5)), {"response_format": "exe"}, 400),
        (wav(speechlike(0.5)), {"model": "x" * 300}, 400),
    ],
)
def test_what_cannot_be_transcribed_is_said(
    content: bytes, fields: dict[str, str], status: int
) -> None:
    with serving(engines("hello")) as (place, _):
        assert post(place, content, **fields).status_code == status


def test_a_failing_recogniser_is_no_fault_of_the_caller() -> None:
    told: Any = ToldRecognizer()
    told.error = RepError("the recogniser's process has ended")
    with serving(engines(recognizer=told)) as (place, _):
        answer = post(place, wav(speechlike(0.5)))
        assert answer.status_code == 503
        assert "has ended" in answer.json()["error"]["message"]


def test_a_voice_whose_words_cannot_be_recognised_wants_a_transcript(tmp_path: Path) -> None:
    told: Any = ToldRecognizer()
    told.error = RepError("the recogniser's process has ended")
    shared = engines(recognizer=told, library=Library(tmp_path))
    with serving(shared) as (place, _):

        def clone(name: str = "anna", **more: str) -> httpx.Response:
            return httpx.post(
                f"http://{place}/v1/audio/voices",
                data={"name": name, "consent": "she said so", **more},
                files={"audio_sample": ("sample.wav", wav(espeak_voice()))},
                timeout=60,
            )

        assert clone("../anna").status_code == clone("slt").status_code == 400  # at once
        refused = clone()
        assert refused.status_code == 503 and "transcript" in refused.text
        assert shared.library.names() == []
        assert clone(transcript="one two").status_code == 200
    assert shared.library.load("anna")[1].transcript == "one two"
