"""Words of the synthetic conversations: enough of them, and the splits apart."""

import random

import pytest

from data.synthetic import held_out_sentences
from data.synthetic.grammar import sentences_of, write_dialogue
from data.synthetic.lexicon import ing, number, past, plural, topics
from data.synthetic.recipe import Recipe, dialogue_seed
from data.synthetic.splits import EXEMPT_WORDS, normalised, split_of


def dialogues(split: str, num: int):
    for index in range(num):
        yield write_dialogue(random.Random(dialogue_seed(Recipe(1, split), index)), split)


def sentences(split: str, num: int) -> set[str]:
    return {
        normalised(sentence)
        for _, lines in dialogues(split, num)
        for line in lines
        for sentence in sentences_of(line.text)
    }


def test_twenty_topics_and_three_thousand_words() -> None:
    found = list(dialogues("train", 4_000))
    words = {w for _, lines in found for line in lines for w in normalised(line.text).split()}
    assert len({topic for topic, _ in found}) >= 20
    assert len(topics()) >= 20
    assert len(words) >= 3_000


def test_dialogues_have_two_to_eight_turns_user_and_agent_by_turns() -> None:
    lengths = set()
    for _, lines in dialogues("train", 300):
        lengths.add(len(lines))
        assert [line.speaker for line in lines] == [i % 2 for i in range(len(lines))]
        assert all(line.text and "{" not in line.text for line in lines)
    assert lengths == set(range(2, 9))


def test_kinds_of_turns() -> None:
    texts = [line.text for _, lines in dialogues("train", 500) for line in lines]
    lengths = [len(text.split()) for text in texts]
    assert 0.15 < sum(text.endswith("?") for text in texts) / len(texts) < 0.5
    assert 0.03 < sum(length <= 3 for length in lengths) / len(texts) < 0.25
    assert sum(8 <= length <= 16 for length in lengths) / len(texts) > 0.4
    assert not any(character.isdigit() for text in texts for character in text)


def test_the_splits_share_no_sentence_but_the_shortest() -> None:
    shared = sentences("train", 2_000) & sentences("test", 400)
    assert all(len(sentence.split()) <= EXEMPT_WORDS for sentence in shared)
    assert shared, "the exempt ones do occur in both"


def test_a_sentence_knows_its_split_however_it_is_written() -> None:
    sentence = "The old ladder in the kitchen was painted by the plumber."
    assert split_of(sentence) == split_of(sentence.upper().replace(".", " !"))
    share = sum(split_of(f"a b c d {number(i)} e") == "test" for i in range(4_000)) / 4_000
    assert 0.03 < share < 0.07


def test_held_out_sentences_are_plain_long_and_held_out() -> None:
    found = held_out_sentences(60, seed=3)
    assert found == held_out_sentences(60, seed=3) != held_out_sentences(60, seed=4)
    assert len(set(found)) == 60
    for sentence in found:
        assert split_of(sentence) == "test"
        assert sentence.endswith(".") and 8 <= len(normalised(sentence).split()) <= 16
    assert not {normalised(s) for s in found} & sentences("train", 2_000)


def test_seeds_of_the_splits_never_meet() -> None:
    train = {dialogue_seed(Recipe(seed, "train"), i) for seed in range(9) for i in range(200)}
    test = {dialogue_seed(Recipe(seed, "test"), i) for seed in range(9) for i in range(200)}
    assert len(train) == len(test) == 1_800
    assert max(train) < 1 << 62 <= min(test)


@pytest.mark.parametrize(
    ("base", "form"),
    [("fix", "fixed"), ("carry", "carried"), ("enjoy", "enjoyed"), ("hug", "hugged"),
     ("bake", "baked"), ("peel", "peeled"), ("switch off", "switched off"), ("knit", "knitted")],
)  # fmt: skip
def test_past(base: str, form: str) -> None:
    assert past(base) == form


def test_other_forms() -> None:
    assert [ing(v) for v in ("bake", "dig", "forget", "dive for")] == [
        "baking", "digging", "forgetting", "diving for",
    ]  # fmt: skip
    assert [plural(n) for n in ("box", "cherry", "toy", "tomato", "cup")] == [
        "boxes", "cherries", "toys", "tomatoes", "cups",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "zero"), (19, "nineteen"), (40, "forty"), (72, "seventy-two"), (100, "one hundred"),
     (307, "three hundred and seven"), (2_030, "two thousand and thirty"),
     (9_999, "nine thousand nine hundred and ninety-nine")],
)  # fmt: skip
def test_numbers_in_words(value: int, words: str) -> None:
    assert number(value) == words


def test_articles_fit_the_sound() -> None:
    texts = " ".join(line.text for _, lines in dialogues("train", 1_500) for line in lines)
    for wrong in (" a apple", " a old", " a hour", " an useful", " an university", " an uniform"):
        assert wrong not in texts
    assert " a useful" in texts or " a uniform" in texts
    assert " an old" in texts
