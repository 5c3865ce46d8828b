"""Spoken consent: the right sentence in the right voice."""

import io
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from app.cloning import keep_voice, try_clone
from app.hub import Engines
from app.library import Library
from app.spoken_consent import SENTENCES, consent_with
from data.audio import encode_audio
from data.errors import InputError
from data.synthetic import speak
from tests.app.live import engines, serving
from tests.app.stage import FakeRecognizer
from tests.app.voice_sound import espeak_voice

SAID = SENTENCES["en"].lower()
RATE = 24_000


def sentence(voice: str = "espeak-en-us") -> np.ndarray:
    return speak(voice, SENTENCES["en"])[0]


@pytest.mark.parametrize(
    ("heard", "language"),
    [
        (SAID, "en"),
        ("i allow my voice to be copied and i have recorded this sentence my self", "en"),
        ("i allow my voice to be coffee and i have recorded the sentence myself", "en"),
        ("我允许复制我的声音 这句话是我自己录的", "zh"),
    ],
)
def test_it_is_recorded_in_the_consent_statement(heard: str, language: str) -> None:
    found = consent_with("Anna", sentence(), lambda _: heard, language, espeak_voice())
    assert found.startswith("Anna (spoken by the same voice, similarity ")
    assert SENTENCES[language] in found


@pytest.mark.parametrize(
    "heard",
    ["", "hello there", SAID[:30], SAID.replace("allow", "do not allow"), f"I don't say: {SAID}"],
)
def test_another_sentence_is_rejected(heard: str) -> None:
    with pytest.raises(InputError, match="record this sentence"):
        consent_with("Anna", sentence(), lambda _: heard, "en", espeak_voice())


def test_another_voice_is_rejected() -> None:
    other = sentence("espeak-en-us+f2")
    with pytest.raises(InputError, match="not in the sample's voice"):
        consent_with("Anna", other, lambda _: SAID, "en", espeak_voice())


@pytest.mark.parametrize("seconds", [0.0, 0.5, 30.0])
def test_too_short_or_long_recordings_are_rejected(seconds: float) -> None:
    sound = np.zeros(round(seconds * RATE), np.float32)
    with pytest.raises(InputError, match="record this sentence"):
        consent_with("Anna", sound, lambda _: SAID, "en", espeak_voice())
    with pytest.raises(InputError, match="no consent sentence in the language 'de'"):
        consent_with("Anna", sentence(), lambda _: SAID, "de", espeak_voice())


def test_the_page_accepts_it(tmp_path: Path) -> None:
    shared = engines(SAID, library=Library(tmp_path / "voices"))
    paths = [str(tmp_path / name) for name in ("sample.wav", "consent.wav")]
    for path, sound in zip(paths, (espeak_voice(), sentence()), strict=True):
        Path(path).write_bytes(encode_audio(sound, RATE, "wav"))
    tried = try_clone(shared, paths[0], consent=True)
    with pytest.raises(InputError, match="no consent"):
        keep_voice(shared, tried, "anna", " ", "", paths[1])
    with pytest.raises(InputError, match="record this sentence"):
        keep_voice(engines_like(shared, "hm"), tried, "anna", "Anna", "", paths[1])
    keep_voice(shared, tried, "anna", "Anna", "", paths[1])
    assert "spoken by the same voice" in shared.voices.voices["anna"].consent


def engines_like(shared: Engines, heard: str) -> Engines:
    return replace(shared, recognizer=FakeRecognizer(heard))


def test_the_api_accepts_it(tmp_path: Path) -> None:
    shared = engines(SAID, "one two", library=Library(tmp_path))
    form = {"name": "anna", "consent": "Anna, 3 May"}
    sample = encode_audio(espeak_voice(), RATE, "wav")

    def clone(spoken: np.ndarray) -> httpx.Response:
        files = {
            "audio_sample": ("sample.wav", io.BytesIO(sample), "audio/wav"),
            "consent_recording": ("consent.wav", encode_audio(spoken, RATE, "wav"), "audio/wav"),
        }
        return httpx.post(f"http://{place}/v1/audio/voices", data=form, files=files, timeout=120)

    with serving(shared) as (place, _):
        refused = clone(np.zeros(RATE, np.float32))
        assert refused.status_code == 400
        assert SENTENCES["en"] in refused.json()["error"]["message"]
        made = clone(sentence())
        assert made.status_code == 200, made.text
    assert "spoken by the same voice" in shared.voices.voices["anna"].consent
