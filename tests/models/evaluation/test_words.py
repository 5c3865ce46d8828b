"""What was said: numbers, signs and case do not count; times are true to the synthesizer's."""

import numpy as np
import pytest

from models.evaluation.sets import say
from models.evaluation.words import (
    align,
    character_errors,
    plain_words,
    time_errors,
    transcribe,
    word_errors,
)
from tests.programs import voices

SENTENCE = "The train to the coast leaves from platform seven at half past nine."


def test_word_errors_ignore_case_signs_and_how_numbers_are_written() -> None:
    assert word_errors("The train, was late.", "the train was late") == (0, 4)
    assert word_errors("We have 42 apples!", "we have forty two apples") == (0, 5)
    assert word_errors("The train was late.", "") == (4, 4)
    assert word_errors("The train was late.", "the rain was very late") == (2, 4)
    assert character_errors("late", "lake") == (1, 4)
    assert plain_words("It’s twenty-one o'clock — 'really'.") == [
        "it's", "twenty", "one", "o'clock", "really"
    ]  # fmt: skip


@pytest.mark.parametrize("voice", voices("espeak-en-gb-x-rp+f5", "flite-rms"))
def test_the_recogniser_hears_the_teacher_and_forgets_what_came_before(voice: str) -> None:
    text = "The price of a small boat went up in March."
    samples = say(voice, text).samples
    heard = transcribe(samples)
    errors, words = word_errors(text, heard)
    assert errors / words <= 0.5  # it mishears a synthesizer, but not most of it
    transcribe(say("espeak-en-gb-scotland+m3", "A wholly different sentence about ships.").samples)
    assert transcribe(samples) == heard
    assert transcribe(np.zeros(100, np.float32)) == ""


def test_alignment_agrees_with_the_synthesizer() -> None:
    item = say("espeak-en-us+m6", SENTENCE)
    found = align(item.samples, item.text)
    assert found is not None and [word for word, _, _ in found] == plain_words(SENTENCE)
    # the phones of "train" stand together in the synthesizer's own times
    names = [name for name, _, _ in item.phones]
    at = next(i for i in range(len(names)) if names[i : i + 4] == ["t", "ɹ", "ˈeɪ", "n"])
    _, start, end = found[1]
    assert start == pytest.approx(item.phones[at][1], abs=0.05)
    assert end == pytest.approx(item.phones[at + 3][2], abs=0.05)


def test_a_word_that_the_lexicon_lacks_cannot_be_aligned() -> None:
    assert align(say("espeak-en-us+m6", SENTENCE).samples, "The zyzzqx left.") is None


def test_told_times_are_held_against_heard_ones() -> None:
    heard = [("forty", 0.1, 0.4), ("two", 0.4, 0.6), ("apples", 0.7, 1.2)]
    assert time_errors([("42", 0.15, 0.6), ("apples", 0.7, 1.1)], heard) == pytest.approx(
        [0.05, 0.0, 0.0, 0.1]
    )
    assert time_errors([("42", 0.1, 0.6)], heard) == []
    assert time_errors([("pears", 0.0, 1.0)], heard) == []
