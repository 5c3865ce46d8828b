"""The answers of the grammar, and the classifier of topics."""

import random

import pytest

from data.synthetic.answers import answer_to, named, topic_called, topic_named
from data.synthetic.grammar import Writer, sentences_of, write_dialogue
from data.synthetic.lexicon import topics
from data.synthetic.splits import split_of


def cooking():
    found = topic_called("cooking")
    assert found is not None
    return found


def test_answers_are_on_topic() -> None:
    right = 0
    for seed in range(400):
        rng = random.Random(seed)
        topic = rng.choice(topics())
        question = Writer(rng, topic, "test").question()
        right += topic_named(answer_to(question, topic, rng, "test")) == topic.name
    assert right > 0.97 * 400


def test_what_is_asked_about_is_named_again() -> None:
    for seed in range(50):
        answer = answer_to("Who took the onion?", cooking(), random.Random(seed), "train")
        assert "onion" in answer
    assert named("Did you mash the carrots in the canteen?", cooking()) == "carrots"
    assert named("Is Alice in the dining room?", cooking()) == "dining room"
    assert named("Of course.", cooking()) is None


def test_whatever_is_asked_about_is_named_again() -> None:
    asked = 0
    for seed in range(600):
        rng = random.Random(seed)
        topic = rng.choice(topics())
        question = Writer(rng, topic, "train").question()
        if thing := named(question, topic):
            asked += 1
            assert thing in answer_to(question, topic, rng, "train").lower(), question
    assert asked > 500


def test_an_answer_fits_its_question() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        assert "found" not in (answer := answer_to("How many plates?", cooking(), rng, "train"))
        assert any(word in answer for word in ("counted", "About", "there were"))


@pytest.mark.parametrize(
    ("question", "like"),
    [
        ("So when does the oven get here?", "When does the oven get here?"),
        ("And where exactly is this oven?", "Where is this oven?"),
        ("But who's going to tell the cook about the oven?", "Who's telling the cook of the oven?"),
        ("Do you happen to know where the oven is?", "Where is the oven?"),
        ("Could you tell me when the oven comes?", "When does the oven come?"),
        ("Do you have any idea how much an oven costs?", "How much is an oven?"),
        ("Okay, but why an oven?", "Why an oven?"),
        ("Tell me about the oven.", "What happened to the oven?"),
    ],
)
def test_a_question_in_other_words_is_answered_alike(question: str, like: str) -> None:
    for seed in range(10):
        answers = [
            answer_to(text, cooking(), random.Random(seed), "train") for text in (question, like)
        ]
        assert answers[0] == answers[1]


def test_sentences_are_of_the_split_asked_for() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        _, lines = write_dialogue(rng, "train")
        for split in ("train", "test"):
            answer = answer_to(lines[0].text, rng.choice(topics()), rng, split)
            assert {split_of(sentence) for sentence in sentences_of(answer)} <= {split, None}


def test_a_text_without_a_topic_has_none() -> None:
    assert topic_named("Yes, I did.") is None
    assert topic_named("The baker grilled the sausage.") == "cooking"
