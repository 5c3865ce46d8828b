"""No text, voice or seed of evaluation occurs in training."""

import random
from functools import cache

import pytest

from data.errors import InputError
from data.synthetic import VOICES
from data.synthetic.corpus import Recipe, dialogue_seed
from data.synthetic.grammar import sentences_of, split_of, write_dialogue
from data.synthetic.voices import draw_pair
from models.evaluation import robustness, sets, speed

SEEDS = (sets.SPEECH, sets.VOCODER, sets.MANNER, sets.CLONE, sets.ROBUST, sets.TOKENS)
ALL_SEEDS = (*SEEDS, sets.SPEED, sets.OTHERS, sets.QUESTIONS)


@cache
def asked() -> list[sets.Question]:
    return sets.questions(50)


def evaluated() -> list[str]:
    found = [text for seed in ALL_SEEDS for text in sets.sentences(120, seed)]
    found += sets.sentences(robustness.NUM_PAST, sets.ROBUST + 1000)
    found += [question.text for question in asked()]
    return found + sets.sentences(speed.LONG, sets.SPEED + 1000)


def test_every_sentence_is_of_the_test_split() -> None:
    assert {split_of(text) for text in evaluated()} == {"test"}


def test_no_sentence_is_spoken_in_training() -> None:
    held = set(evaluated())
    trained = set()
    for index in range(3000):
        seed = dialogue_seed(Recipe(seed=1, split="train"), index)
        _, lines = write_dialogue(random.Random(f"words {seed}"), "train")
        trained.update(s for line in lines for s in sentences_of(line.text))
    assert len(trained) > 3000
    assert not held & trained


def test_hard_texts_are_of_the_test_split_or_fixed_and_absent_from_training() -> None:
    for text in sets.hard_texts(200):
        if text not in sets._TEXTS:
            assert {split_of(sentence) for sentence in sentences_of(text)} == {"test"}


def test_hard_texts_of_mandarin_are_of_the_test_split_or_fixed() -> None:
    found = sets.hard_texts(60, "zh")
    assert len(found) == 60 and found == sets.hard_texts(60, "zh")
    assert {text in sets._MANDARIN_TEXTS for text in found} == {True, False}
    for text in found:
        if text not in sets._MANDARIN_TEXTS:
            assert {split_of(sentence) for sentence in sentences_of(text)} <= {"test", None}


def test_no_seed_is_shared() -> None:
    assert len(set(ALL_SEEDS)) == len(ALL_SEEDS)
    for split in ("train", "test"):
        for index in range(200):
            assert dialogue_seed(Recipe(seed=1, split=split), index) < min(ALL_SEEDS)


def test_the_sets_differ_from_each_other() -> None:
    by_seed = [set(sets.sentences(40, seed)) for seed in SEEDS]
    for i, first in enumerate(by_seed):
        for second in by_seed[i + 1 :]:
            assert len(first & second) <= 1  # the grammar may repeat one


def test_held_out_voices_are_never_sampled_for_training() -> None:
    held = set(sets.held_out_voices())
    assert len(held) == 20
    assert all(VOICES[name].weight == 0 for name in held)
    rng = random.Random(0)
    drawn = {voice.id for _ in range(3000) for voice in draw_pair(rng, "train")}
    assert len(drawn) > 100 and not drawn & held
    few = sets.held_out_voices(5)
    assert len(few) == 5 and set(few) <= held and few != sets.held_out_voices()[:5]


def test_the_same_count_gives_the_same_set() -> None:
    assert sets.sentences(10, sets.SPEECH) == sets.sentences(10, sets.SPEECH)
    assert sets.hard_texts(30) == sets.hard_texts(30)
    with pytest.raises(InputError, match="at least 1"):
        sets.sentences(0, sets.SPEECH)


def test_questions_cycle_through_topics_and_held_out_voices() -> None:
    assert len({question.topic for question in asked()}) == 25
    assert {question.voice for question in asked()} <= set(sets.held_out_voices())
    assert len({question.voice for question in asked()}) > 10
    assert all(question.text.endswith("?") for question in asked())
    assert len({question.text for question in asked()}) == 50
