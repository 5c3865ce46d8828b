"""Cloning from the page: what a visitor gives, and what is said when it will not do."""

from pathlib import Path

import numpy as np
import pytest

from app.library import Library
from app.ui.clone import clone_and_speak, keep_voice, spectrogram
from data.errors import InputError
from tests.app.live import engines
from tests.app.voice_sound import espeak_voice


def recording(seconds: float = 6.0, rate: int = 48_000) -> tuple[int, np.ndarray]:
    sound = np.repeat(espeak_voice()[: int(seconds * 24_000)], rate // 24_000)
    return rate, (sound * 32767).astype(np.int16)


def test_the_text_comes_in_the_cloned_voice_by_each_model() -> None:
    rate, samples = recording()
    for given in ((rate, samples), (rate, np.stack([samples, samples], axis=1))):
        made = clone_and_speak(engines(), given, "one two three", consent=True)
        assert list(made.spoken) == ["gpt-talker", "flow-omni"]
        for sound in made.spoken.values():
            assert len(sound) == 3 * 4800
            peak = np.argmax(np.abs(np.fft.rfft(sound))) * 24_000 / len(sound)
            assert abs(peak - 660) < 3
        assert "s of speech" in made.verdict and "gpt-talker" in made.verdict


def test_a_kept_voice_can_be_used_at_once_and_later(tmp_path: Path) -> None:
    shared = engines(library=Library(tmp_path))
    made = clone_and_speak(shared, recording(), "one", consent=True)
    with pytest.raises(InputError, match="no consent"):
        keep_voice(shared, made, "anna", " ")
    with pytest.raises(InputError, match="already"):
        keep_voice(shared, made, "slt", "she said so")
    with pytest.raises(InputError, match="press Speak"):
        keep_voice(shared, None, "anna", "she said so")
    assert shared.library.names() == []
    assert "anna" in keep_voice(shared, made, "anna", "she said so")
    assert shared.speaker.voices["anna"].hz == 660.0
    assert shared.library.load("anna")[1].consent == "she said so"


@pytest.mark.parametrize(
    ("given", "text", "consent", "message"),
    [
        (None, "hello", True, "no voice sample"),
        (recording(), "hello", False, "consent"),
        (recording(), "  ", True, "no text"),
        (recording(2.0), "hello", True, "at least 3 s"),
        ((24_000, np.zeros(96_000, np.int16)), "hello", True, "at least 3 s"),
    ],
)
def test_what_will_not_do_is_said(
    given: tuple[int, np.ndarray] | None, text: str, consent: bool, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        clone_and_speak(engines(), given, text, consent)


def test_the_spectrogram_shows_a_tone_where_it_is() -> None:
    tone = np.sin(2 * np.pi * 2000 * np.arange(24_000) / 24_000).astype(np.float32)
    picture = spectrogram(tone)
    row = picture.shape[0] - 1 - int(picture.mean(axis=1).argmax())
    assert abs(row * 24_000 / 1024 - 2000) < 50
