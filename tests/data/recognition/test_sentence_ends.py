"""Words after which sentences often end, and words after which they never do."""

from pathlib import Path

import pytest

from data.recognition import sentence_ends_training as training
from data.recognition.sentence_ends import (
    LONGEST,
    SPECIAL,
    START,
    Vocabulary,
    end_log_odds,
    load_sentence_ends,
    read_tokens,
)
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


def test_fillers_are_not_read() -> None:
    assert end_log_odds("Which um city shall I look in?") == end_log_odds(
        "Which city shall I look in?"
    )


def test_rare_words_and_numbers_share_an_entry_each() -> None:
    vocabulary = Vocabulary([*SPECIAL, "for", "WO"])
    numbers = vocabulary.numbers([START, "for", "zyzzyva", "5th", "2", "DA", "WO"])
    assert numbers == [0, 4, 2, 1, 1, 3, 5]


def test_the_end_of_the_longest_turn_is_read() -> None:
    assert len(read_tokens("so " * 300 + "that is all")) == LONGEST
    assert end_log_odds("so " * 300 + "that is all") is not None


def test_a_turn_knows_where_its_words_and_sentences_end() -> None:
    turn = training.turn_of("Thanks, um, a lot. I'm done!", "en")
    assert turn.read == [START, "thanks", "a", "lot", "i'm", "done"]
    assert turn.words == [False, *[True] * 5]
    assert turn.sentences == [False, False, False, True, False, True]


def test_mandarin_words_end_with_their_last_syllable() -> None:
    turn = training.turn_of("我们喜欢音乐。", "zh")
    assert turn.read == [START, *"WO MEN XI HUAN YIN YUE".split()]
    assert turn.words == [False, *[False, True] * 3]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("你知道他是谁吗？", "你知道她是谁嘛"),
        ("確實是很好", "确实是很好"),
        ("那个景点在哪里？", "那个井点再哪里"),
    ],
)
def test_homophones_are_read_alike(said: str, written: str) -> None:
    assert end_log_odds(said) == end_log_odds(written)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("我喜欢 jazz。", "WO XI HUAN jazz"),
        ("OK, 好的, 2 张票", "ok HAO DE 2 ZHANG PIAO"),
        ("你，嗯，好吗", "NI HAO MA"),
    ],
)
def test_both_languages_are_read_in_one_turn(text: str, read: str) -> None:
    assert read_tokens(text) == [START, *read.split()]


def test_a_smaller_language_is_learned_as_well() -> None:
    many, few = [training.turn_of("go on", "en")] * 20, [training.turn_of("好", "zh")] * 5
    assert training.balanced([many, few]) == many + 4 * few
    assert len(training.balanced([many, few[:1]])) < 2 * len(many)  # not by heart


def test_only_the_training_split_is_learned() -> None:
    texts = [f"Yes, I {'really ' * count}do" for count in range(60)]
    dialogues = [TextDialogue(text, "en", (Line(0, f"{text}."),)) for text in texts]
    found = [len(turn.read) for turn in training.turns_of(dialogues, "train")]
    trained = [len(one.id.split()) + 1 for one in dialogues if one.split == "train"]
    assert 0 < len(trained) < len(texts)
    assert found == [num for longest in trained for num in (min(longest, LONGEST), 2)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_chat_of_the_grammar_is_learned_too(language: str) -> None:
    turns = list(training.written_turns(20, language))
    assert len(turns) > 40
    assert all(turn.read[0] == START and any(turn.sentences) for turn in turns)
    assert turns == list(training.written_turns(20, language))


def test_a_network_learns_where_sentences_end_and_is_kept(tmp_path: Path) -> None:
    texts = ["i like it.", "i like the sea.", "the sea is the end."] * 100
    turns = [training.turn_of(text, "en") for text in texts]
    network, vocabulary = training.train(turns, epochs=20)
    assert training.area_under_curve(network, vocabulary, turns) > 0.95
    training.write(network, vocabulary, tmp_path / "ends.safetensors")
    kept, known = load_sentence_ends(tmp_path / "ends.safetensors")
    assert known.known == vocabulary.known
    assert training.area_under_curve(kept, known, turns) > 0.95
