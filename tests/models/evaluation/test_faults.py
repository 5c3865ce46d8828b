"""Detects replies that are silent, truncated, too long or looping; accepts good ones."""

import numpy as np
import pytest

from data.audio import resample
from models.evaluation.faults import expected_seconds, fault_of, repeated_seconds
from models.evaluation.sets import held_out_voices, say, teacher_voices
from tests.programs import voices

TEXT = "The baker closed the shop early, and everybody walked home along the river."


@pytest.mark.parametrize("manner", ["neutral", "excited", "sad"])
@pytest.mark.parametrize("voice", voices("espeak-en-us", *teacher_voices(), *held_out_voices(4)))
def test_the_teacher_has_no_faults(voice: str, manner: str) -> None:
    for text in (TEXT, "Yes.", "Really?"):
        assert fault_of(say(voice, text, manner).samples, text) is None


def spoken() -> np.ndarray:
    return say("espeak-en-gb-x-rp+f5", TEXT).samples


def test_silence_is_found() -> None:
    assert fault_of(np.zeros(0, np.float32), TEXT) == "empty"
    assert fault_of(np.zeros(48_000, np.float32), TEXT) == "empty"


def test_a_truncated_reply_is_found() -> None:
    assert fault_of(spoken()[:24_000], TEXT) == "cut short"


def test_an_overlong_reply_is_found() -> None:
    assert fault_of(np.tile(spoken(), 4), TEXT) == "over-long"


@pytest.mark.parametrize("period_s", [0.2, 0.35, 0.6])
def test_a_loop_is_found(period_s: float) -> None:
    samples = spoken()
    piece = samples[24_000 : 24_000 + int(period_s * 24_000)]
    looped = np.concatenate([samples[:24_000], *[piece] * int(3 / period_s), samples[24_000:]])
    assert fault_of(looped, TEXT) == "looping"


def test_a_stuck_sound_is_found() -> None:
    samples = spoken()
    piece = samples[26_000:26_480]
    held = np.concatenate([samples[:26_000], np.tile(piece, 80), samples[26_000:]])
    assert fault_of(held, TEXT) in ("held sound", "looping")


def test_a_slower_performance_is_no_fault() -> None:
    assert fault_of(resample(spoken(), 24_000, 24_000 * 1.4), TEXT) is None


def test_the_expected_length_is_the_teachers() -> None:
    seconds = len(spoken()) / 24_000
    assert expected_seconds(TEXT) == pytest.approx(seconds, rel=0.25)


def test_repetition_in_the_text_is_not_a_loop() -> None:
    """A reply that repeated words of its text was reported as looping."""
    text = "No no no no no, that is not it at all."
    samples = say("espeak-en-gb-x-rp+f5", text).samples
    assert fault_of(samples, text) is None
    piece = samples[6_000:12_000]  # a quarter of a second, in the middle of them
    looped = np.concatenate([samples[:12_000], *[piece] * 12, samples[12_000:]])
    assert fault_of(looped, text) in ("looping", "over-long")
    assert repeated_seconds("It is very very late, and very cold.") < 0.5
    for text in ("Call 555 0199.", "Call me at 555-0199.", "It is 0800 777 99."):
        assert repeated_seconds(text) > 0.3
    assert repeated_seconds("Call me at 525 0189.") == 0
    assert repeated_seconds("That is not it at all.") == 0
