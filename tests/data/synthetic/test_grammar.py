"""Words of the synthetic conversations: enough of them, and the splits apart."""

import functools
import random
import re
from collections import Counter

import pytest

from data.synthetic import MANNERS, held_out_sentences
from data.synthetic.english import ordinal
from data.synthetic.grammar import Writer, sentences_of, topics_of_language, write_dialogue
from data.synthetic.lexicon import ing, number, past, plural, topics
from data.synthetic.mandarin import characters
from data.synthetic.manner import manners_of_dialogue
from data.synthetic.patterns import patterns
from data.synthetic.recipe import Recipe, dialogue_seed
from data.synthetic.splits import EXEMPT_WORDS, SPLITS, normalised, split_of


@functools.cache
def dialogue(split: str, index: int):
    return write_dialogue(random.Random(dialogue_seed(Recipe(1, split), index)), split)


def dialogues(split: str, num: int):
    return (dialogue(split, index) for index in range(num))


def sentences(split: str, num: int) -> set[str]:
    return {
        normalised(sentence)
        for _, lines in dialogues(split, num)
        for line in lines
        for sentence in sentences_of(line.text)
    }


def test_twenty_topics_and_three_thousand_words() -> None:
    found = list(dialogues("train", 2_500))
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
    assert sum(8 <= length <= 20 for length in lengths) / len(texts) > 0.4
    assert not any(character.isdigit() for text in texts for character in text)


def test_the_splits_share_no_sentence_but_the_shortest() -> None:
    shared = sentences("train", 2_000) & sentences("test", 400)
    assert all(len(sentence.split()) <= EXEMPT_WORDS for sentence in shared)
    assert shared, "the exempt ones do occur in both"


LANGUAGES = ("en", "zh")


def test_enough_patterns_and_none_twice() -> None:
    for language, fewest in (("en", 1_500), ("zh", 400)):
        found = patterns(language)
        lines = [(act, line) for act, some in found.items() for line in some]
        assert len(set(lines)) == len(lines)
        # words alone, so that no pattern is another with other marks
        distinct = {normalised(re.sub(r"[{}]", " ", line)) for _, line in lines}
        assert len(distinct) >= fewest, language


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_pattern_can_be_filled(language: str) -> None:
    rng = random.Random(1)
    for topic in topics_of_language(language)[::4]:
        writer = Writer(rng, topic, "train")
        for some in patterns(language).values():
            for line in some:
                text = writer._fill(line, topic, {})
                assert text and "{" not in text and "}" not in text and "  " not in text
                assert not any(character.isdigit() for character in text)
                assert text[-1] in ".?!。？！"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("split", SPLITS)
def test_every_act_has_sentences_of_every_split(language: str, split: str) -> None:
    writer = Writer(random.Random(2), topics_of_language(language)[0], split)
    for act in patterns(language):
        sentences = sentences_of(writer.act(act))
        assert {split_of(sentence) for sentence in sentences} <= {None, split}


@pytest.mark.parametrize("language", LANGUAGES)
def test_acts_follow_each_other_to_the_end(language: str) -> None:
    drawn: set[str] = set()
    for seed in range(300):
        name, lines = write_dialogue(random.Random(seed), "train", language)
        assert name in {topic.name for topic in topics_of_language(language)}
        assert 2 <= len(lines) <= 8
        drawn |= {line.text for line in lines}
    assert len(drawn) > 1_000
    if language == "zh":
        assert all(max(text) >= "\u3400" for text in drawn) and not any(" " in t for t in drawn)


_DRAWN = ("{num", "{clock", "{date", "{phone", "{digits", "{year", "{n}", "{month", "{day")
_FELT = re.compile(
    r"\b(?:sad|happy|angry|calm|upset|joy|glad|mad|cry|crying|tired|scared|proud|jealous|bored)\b"
    r"|\b(?:furious|excit|thrill|wonderful|terribl|awful|annoy|depress|relax)|"
    "难过|高兴|开心|生气|伤心|激动|兴奋|平静|愤怒|快乐|冷静|糟糕|太好了|害怕|骄傲|无聊"
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_feeling_is_named_where_the_voice_is_to_show_it(language: str) -> None:
    felt = patterns(language)["feel"]
    assert len(felt) >= 50
    assert [line for line in felt if _FELT.search(line.lower())] == []


@pytest.mark.parametrize(
    ("language", "marks"),
    [
        ("en", ("{spelled", "{price", "Um,", "Uh,", "Well,", "You know")),
        ("zh", ("{letter", "{price", "嗯", "那个", "就是")),
    ],
)
def test_what_people_say_is_there(language: str, marks: tuple[str, ...]) -> None:
    """Numbers, dates, names, letters and fillers, and questions of every kind."""
    text = "\n".join(line for some in patterns(language).values() for line in some)
    assert {mark for mark in (*marks, *_DRAWN) if mark.lower() not in text.lower()} == set()
    asked = {act for act in patterns(language) if act.startswith("ask ")}
    assert len(asked) >= 12 and all(len(patterns(language)[act]) >= 4 for act in asked)


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_do_not_tell_the_manner(language: str) -> None:
    """What is felt is said in every manner, about equally often."""
    counts = Counter()
    felt = {line for line in patterns(language)["feel"] if "{" not in line}
    for index in range(2_000):
        seed = dialogue_seed(Recipe(1, "train"), index)
        _, lines = write_dialogue(random.Random(f"words {seed}"), "train", language)
        manners = manners_of_dialogue(random.Random(f"manners {seed}"), len(lines))
        for line, manner in zip(lines[::2], manners[::2], strict=False):
            if felt & set(sentences_of(line.text)):
                counts[manner] += 1
    total = sum(counts.values())
    assert total > 250 and counts.keys() == MANNERS.keys()
    assert all(0.12 < count / total < 0.36 for count in counts.values())


def test_the_splits_of_mandarin_share_no_long_sentence() -> None:
    said = {}
    for split, num in (("train", 800), ("test", 200), ("validation", 200)):
        said[split] = {
            sentence
            for seed in range(num)
            for line in write_dialogue(random.Random(f"{split} {seed}"), split, "zh")[1]
            for sentence in map(normalised, sentences_of(line.text))
            if len(sentence.split()) > EXEMPT_WORDS
        }
    assert not said["train"] & said["test"] and not said["train"] & said["validation"]
    assert not said["test"] & said["validation"]


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "零"), (7, "七"), (10, "十"), (15, "十五"), (20, "二十"), (42, "四十二"), (100, "一百"),
     (105, "一百零五"), (110, "一百一十"), (999, "九百九十九"), (1_000, "一千"),
     (1_005, "一千零五"), (1_050, "一千零五十"), (2_340, "二千三百四十"),
     (9_999, "九千九百九十九")],
)  # fmt: skip
def test_numbers_in_characters(value: int, written: str) -> None:
    assert characters(value) == written


@pytest.mark.parametrize(
    ("value", "word"),
    [(1, "first"), (12, "twelfth"), (20, "twentieth"), (21, "twenty-first"), (30, "thirtieth"),
     (31, "thirty-first"), (99, "ninety-ninth")],
)  # fmt: skip
def test_ordinals(value: int, word: str) -> None:
    assert ordinal(value) == word


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
