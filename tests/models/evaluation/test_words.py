"""Transcript comparison ignores number formats, punctuation, case and homophones."""

import numpy as np
import pytest

from models.evaluation.sets import say
from models.evaluation.words import (
    character_errors,
    spoken_language,
    transcribe,
    word_errors,
)
from tests.programs import voices


@pytest.mark.parametrize(
    ("said", "heard", "errors", "words"),
    [
        ("The train, was late.", "the train was late", 0, 4),
        ("We have 42 apples!", "We have forty-two apples.", 0, 4),
        ("It’s 7:30 pm, um, o'clock — 'really'.", "It's 7.30 p.m. o'clock, really.", 0, 7),
        ("Around three pm, or 9 am.", "Around 3pm, or nine a.m.", 0, 6),
        ("Okay. i like the Jays Vs Braves game.", "Okay, I like the Jays vs. Braves game", 0, 8),
        ("The Jays VS the Braves.", "the Jays vs the Braves", 0, 5),
        ("It costs $1.67.", "it costs one dollar and sixty-seven cents", 0, 3),
        ("I won't, the colour is grey.", "I will not, the color is gray.", 0, 7),
        ("Call 555 0199 on 3 March.", "Call 5550199 on the third of March", 0, 7),
        ("The train was late.", "", 4, 4),
        ("The train was late.", "the rain was very late", 2, 4),
    ],
)
def test_english_word_errors(said: str, heard: str, errors: int, words: int) -> None:
    assert word_errors(said, heard, "en") == (errors, words)


@pytest.mark.parametrize(
    ("said", "heard", "syllables_wrong", "characters_wrong", "length"),
    [
        ("他是银行的。", "她是银行的", 0, 1, 5),
        ("再见！", "在见", 0, 1, 2),
        ("我2024年来的。", "我二零二四年来的", 0, 0, 8),
        ("买iPhone，好吗？", "买 iphone 好吗", 0, 0, 4),
        ("今天很热", "今天恨", 1, 2, 4),
        ("你好", "", 2, 2, 2),
    ],
)
def test_mandarin_syllable_and_character_errors(
    said: str, heard: str, syllables_wrong: int, characters_wrong: int, length: int
) -> None:
    assert word_errors(said, heard, "zh") == (syllables_wrong, length)
    assert character_errors(said, heard, "zh") == (characters_wrong, length)


def test_letters_are_compared_without_spaces() -> None:
    assert character_errors("late", "lake", "en") == (1, 4)
    assert character_errors("any more", "anymore", "en")[0] == 0


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello.", "en"),
        ("你好", "zh"),
        ("我想买 iPhone。", "zh"),
        ("42", "en"),
        ("I would like to say 你好.", "en"),
    ],
)
def test_the_language_of_a_text_is_its_main_language(text: str, language: str) -> None:
    assert spoken_language(text) == language


@pytest.mark.parametrize("voice", voices("espeak-en-gb-x-rp+f5", "flite-rms"))
def test_the_recogniser_understands_the_teacher_and_keeps_no_state(voice: str) -> None:
    text = "The price of a small boat went up in March."
    samples = say(voice, text).samples
    heard = transcribe(samples, "en")
    errors, words = word_errors(text, heard, "en")
    assert errors / words <= 0.3  # synthesizers are misheard in part
    transcribe(say("espeak-en-gb-scotland+m3", "A wholly different sentence.").samples, "en")
    assert transcribe(samples, "en") == heard
    assert transcribe(np.zeros(100, np.float32), "en") == ""
    assert transcribe(np.zeros(48_000, np.float32), "en") == ""
