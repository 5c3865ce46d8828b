"""Properties of arbitrary texts."""

import random
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from models.text import SentenceStream, normalise, phonemize, split_sentences
from models.text.sentences import LONGEST_SENTENCE
from models.text.symbols import SYMBOLS

PARTS = [
    *"a A I X II IV Mr. Dr. No. e.g. U.S. 2020 1 12 007 3.5 1,000 1.234,5 $ € % ° ½ ² ₂ ⁻".split(),
    *"' \" ” ′ ″ - – — / \\ : ; , . ? ! … ... ( ) [ ] * ** _ ` ``` ~ # @ & + = < > ^ |".split(),
    *"km kWh m/s µg ft in pm a.m. http:// .com .sh node.js call +44 0171 é ñ ① → ≤ № ﬁ Ω π".split(),
    *"😀 你好 مرحبا <think> </think> <b> &amp; <|end|> King Part and word HELLO IMDB don't".split(),
    *"'90s 5'7\" 1/2 3:1 10:30 2024-01-02 \u0301 \u0336 \u20dd \u200b \ud83d \udc00".split(" "),
    *(" ", "  ", "\n", "\n\n", "\t", "- ", "5. ", "Nov ", "the ", "x ", "\u00a0", "\x00", "\x1b"),
]
written = st.one_of(
    st.lists(st.sampled_from(PARTS), max_size=25).map("".join),
    st.text(st.characters(), max_size=60),  # lone surrogates too
)
quick = settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@quick
@given(written)
def test_any_text_becomes_words_and_pauses(text: str) -> None:
    spoken = normalise(text)
    assert spoken.encode().decode() == spoken
    assert not any(character.isdecimal() for character in spoken)
    assert all(character.isalpha() or character in " ',.?!;:—" for character in spoken)


@quick
@given(st.lists(st.sampled_from(PARTS), max_size=15).map(" ".join))
@example("Nov  ``` ``` ′")
@example("Dr ``` ``` '")
@example("p.m. ```` ' ' x")
def test_normalisation_is_idempotent(text: str) -> None:
    spoken = normalise(text)
    assert normalise(spoken) == spoken


@quick
@given(written, st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_streaming_equals_the_whole(text: str, sizes: list[int]) -> None:
    if "</think>" in text:
        return  # sentences before an unopened thought cannot be taken back
    stream, found, at = SentenceStream(), [], 0
    for size in sizes:
        found += stream.push(text[at : at + size])
        at += size
    found += stream.push(text[at:]) + stream.flush()
    assert found == split_sentences(text)


@settings(quick, max_examples=60)
@given(written)
def test_phonemes_are_in_the_inventory(text: str) -> None:
    for phonemes in phonemize(split_sentences(text)):
        assert set(phonemes.symbols) <= set(SYMBOLS)


RUNS = [
    *"1 1. 1, 1/ 1- a a. a@ ' \" 5' $ km/ ½ / \\ ( [ < ` * _ ^ ~ # é ² ① 𝓗 — 0- 1: a:1/".split(),
    *(
        "&#",
        "w/",
        "'n'",
        "m·",
        "1 ",
        "A ",
        "I ",
        "+1 ",
        "1° ",
        "5. ",
        "II, ",
        "x 1 ",
        "\u0301",
        "<think>",
    ),
]


@pytest.mark.parametrize("unit", RUNS)
def test_repetitive_texts_take_linear_time(unit: str) -> None:
    started = time.process_time()
    normalise((unit * 4096)[:4096])
    split_sentences((unit * 4096)[:4096])
    assert time.process_time() - started < 1


def test_mixed_texts_take_linear_time() -> None:
    draw = random.Random(5)
    for _ in range(20):
        chosen = draw.sample(PARTS, 5)
        text = "".join(draw.choice(chosen) for _ in range(4096))[:4096]
        started = time.process_time()
        normalise(text)
        assert time.process_time() - started < 1, chosen


@pytest.mark.parametrize(
    "text",
    ["1" * 1999, "7 " * 2000, "word " * 800, "antidisestablishment" * 150, "§" * 2000, "$5" * 2000],
)
def test_sentences_are_bounded_without_full_stops(text: str) -> None:
    sentences = split_sentences(text)
    assert max(map(len, sentences)) <= LONGEST_SENTENCE
    for phonemes in phonemize(sentences):
        assert len(phonemes.words) > 0
        assert len(phonemes.symbols) <= 6000


def test_long_runs_of_digits_are_grouped() -> None:
    words = [word for phonemes in phonemize(split_sentences("1" * 1999)) for word in phonemes.words]
    assert "".join(word for word, _, _ in words) == "1" * 1999
    assert normalise("1" * 1999).split() == ["one"] * 1999
    assert max(end - start for _, start, end in words) < 40
