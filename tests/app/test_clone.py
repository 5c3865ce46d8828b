"""Cloning from the page: what a visitor gives, and what is said when it will not do."""

import numpy as np
import pytest

from app.ui.clone import clone_and_speak
from data.errors import InputError
from tests.app.live import engines
from tests.app.user_sound import speechlike


def recording(seconds: float = 2.0, rate: int = 48_000) -> tuple[int, np.ndarray]:
    sound = np.repeat(speechlike(seconds), rate // 24_000)
    return rate, (sound * 32767).astype(np.int16)


def test_the_text_comes_in_the_cloned_voice() -> None:
    rate, samples = recording()
    for given in ((rate, samples), (rate, np.stack([samples, samples], axis=1))):
        made = clone_and_speak(engines(), given, "one two three", consent=True)
        assert made.dtype == np.int16
        assert len(made) == 3 * 4800
        peak = np.argmax(np.abs(np.fft.rfft(made))) * 24_000 / len(made)
        assert abs(peak - 660) < 3


@pytest.mark.parametrize(
    ("given", "text", "consent", "message"),
    [
        (None, "hello", True, "no voice sample"),
        (recording(), "hello", False, "consent"),
        (recording(), "  ", True, "no text"),
        (recording(0.5), "hello", True, "shorter than 1 s"),
        ((24_000, np.zeros(48_000, np.int16)), "hello", True, "silent"),
    ],
)
def test_what_will_not_do_is_said(
    given: tuple[int, np.ndarray] | None, text: str, consent: bool, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        clone_and_speak(engines(), given, text, consent)
