"""Words after which sentences often end, and words after which they never do."""

import math
from collections import Counter

import pytest

from data.recognition import sentence_ends_training as training
from data.recognition.sentence_ends import LONGEST, START, UNKNOWN, end_log_odds, look_up
from data.synthetic.grammar import Line
from data.synthetic.texts import TextDialogue


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ("Can I do anything else for you?", "Can I do anything else for?"),
        ("Have a good day.", "Have a."),
        ("What time is it?", "What time is the?"),
        ("Yes.", "Yes, in which."),
        ("No, thank you.", "No, but."),
        ("知道吗？", "知道因为。"),
        ("他是演员吗", "他是"),
    ],
)
def test_a_whole_sentence_may_end_rather_than_a_part(whole: str, part: str) -> None:
    complete, open_ended = end_log_odds(whole), end_log_odds(part)
    assert complete is not None and open_ended is not None
    assert complete > open_ended + 1.5


@pytest.mark.parametrize(
    "text", ["Well, um...", "I went to, uh", "Thank you for your help, that is...", "嗯", "So,"]
)
def test_a_voice_that_trails_off_has_not_ended(text: str) -> None:
    assert end_log_odds(text) == pytest.approx(-5.0)


@pytest.mark.parametrize("text", ["", "...", "?!", " 。"])
def test_without_words_nothing_is_known(text: str) -> None:
    assert end_log_odds(text) is None


def test_case_and_punctuation_do_not_matter() -> None:
    assert end_log_odds("I WON THE RACE") == end_log_odds("i won the race.")


def test_unknown_words_count_as_rare_ones() -> None:
    table = {UNKNOWN["word"]: -1.0, UNKNOWN["character"]: -2.0, "for": -4.0}
    assert look_up(table, [START, "zyzzyva"]) == -1.0
    assert look_up(table, ["for", "龘"]) == -2.0
    assert look_up(table, ["zyzzyva", "for"]) == -4.0


def test_counts_become_log_odds() -> None:
    total, ends = training.counted(
        [("en", "go to town")] * 400 + [("en", "go to the town hall")] * 100
    )
    assert total["to"] == 500 and ends["to"] == 0
    assert total["town"] == 500 and ends["town"] == 400
    assert ends["the town"] == 0 and ends["to town"] == 400
    table = training.table(total, ends)
    assert table["to"] < -2.5 and table["town"] > 1.0
    assert table["the town"] < -1.0  # the longer context decides
    assert f"{START} go to" not in table  # "to" says as much
    assert max(words.count(" ") for words in table) < LONGEST


def test_mandarin_ends_words_by_their_last_character() -> None:
    total, ends = training.counted([("zh", "我们喜欢音乐")])
    assert total["乐"] == ends["乐"] == 1
    assert "音" not in total  # within a word no one pauses


def test_only_the_training_split_counts() -> None:
    texts = [f"Yes, I {'really ' * count}do" for count in range(60)]
    dialogues = [TextDialogue(text, "en", (Line(0, f"{text}."),)) for text in texts]
    found = [text for _, text in training.sentences(dialogues)]
    trained = [dialogue.id for dialogue in dialogues if dialogue.split == "train"]
    assert 0 < len(trained) < len(texts)
    assert found == [text for whole in trained for text in (whole, "Yes,")]


def test_rare_counts_stay_near_the_shorter_context() -> None:
    total, ends = Counter({"a": 5, "b": 5, "c": 2000}), Counter({"a": 1, "b": 1})
    table = training.table(total, ends)
    assert "a" not in table and table["c"] < -2.0
    assert table[UNKNOWN["word"]] == pytest.approx(math.log(0.25 / 0.75), abs=0.06)
