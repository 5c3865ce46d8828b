"""Word tokenizer: in-domain texts round-trip, other words are spelt."""

import random

import pytest

from data.synthetic.answers import answer_to
from data.synthetic.grammar import write_dialogue
from data.synthetic.lexicon import topics
from models.text.words import Words, vocabulary


@pytest.fixture(scope="module")
def words() -> Words:
    texts = []
    for seed in range(1500):
        texts += [line.text for line in write_dialogue(random.Random(seed), "train")[1]]
    return Words(vocabulary(texts))


def test_in_domain_texts_round_trip(words: Words) -> None:
    """Held-out dialogues and their answers: names, prices, possessives, sentence starts."""
    tokens = []
    for seed in range(5000, 5200):
        rng = random.Random(seed)
        for line in write_dialogue(rng, "test")[1]:
            answer = answer_to(line.text, rng.choice(topics()), rng, "test")
            for text in (line.text, answer):
                assert words.decode(words.encode(text)).lower() == text.lower()
                tokens.append(len(words.encode(text)) / len(text.split()))
    assert sum(tokens) / len(tokens) < 1.6  # words and marks, few letters


@pytest.mark.parametrize(
    "text", ["Zaphod's x-rayed 42 quarks, at 3.", "I don't know. Yes!", "a", "The the", ""]
)
def test_unknown_words_are_spelt(words: Words, text: str) -> None:
    decoded = words.decode(words.encode(text))
    assert decoded.lower().replace(" ", "") == text.lower().replace(" ", "")


def test_pieces_join_to_the_text(words: Words) -> None:
    tokens = words.encode("The Zaphod is here. Is it?")
    assert "".join(words.pieces(tokens)) == words.decode(tokens)
    assert words.decode(tokens).endswith("here. Is it?")


def test_unknown_signs_are_dropped(words: Words) -> None:
    assert words.encode("😀 ♥") == []


def test_a_word_is_found_in_any_case(words: Words) -> None:
    assert words.word("THE") == words.word("the") is not None
    assert words.word("london") == words.word("London") is not None
    assert words.word("zaphod") is None


def test_rare_words_are_not_in_the_vocabulary() -> None:
    assert vocabulary(["Yes, the oven.", "The oven burns."]) == ("the", "oven")
