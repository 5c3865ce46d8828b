"""Hesitations are placed where people hesitate, away from the edges of a turn."""

import random

import pytest

from data.synthetic.hesitations import DASH, KINDS, hesitant

ENGLISH = (
    "I would like to book a table for four people on Friday.",
    "Can you find me a hotel in San Francisco, please?",
    "My brother repaired the old radio and it plays music all night.",
    "No, thank you. That is all I need for today.",
    "What is the capital of France, and how far is it from here?",
)
MANDARIN = (
    "我想去北京的动物园看熊猫。",
    "你能帮我找一个便宜的餐厅吗？",
    "这张专辑我知道，是她的首张专辑。",
    "因为今天下雨，所以我们就在家里看电影。",
    "他的经纪公司是在上海的一家公司。",
)
CASES = [("en", text) for text in ENGLISH] + [("zh", text) for text in MANDARIN]


@pytest.mark.parametrize(("language", "text"), CASES)
def test_a_dash_is_inside_a_clause(language: str, text: str) -> None:
    if language == "zh":
        pytest.importorskip("jieba", reason="jieba is missing (launch.py data teacher)")
    for seed in range(30):
        found = hesitant(text, language, random.Random(seed))
        assert found is not None
        written, kind = found
        before, after = written.split(DASH)
        assert kind in KINDS
        assert before[-1].isalnum() and after[0].isalnum()
        assert len(after.split()) >= 2 or language == "zh"
        if kind != "filler":
            assert written.replace(DASH, " " if language == "en" else "") == text
        else:
            assert before.endswith(("um", "uh", "嗯", "呃", "那个"))


@pytest.mark.parametrize("language_and_text", CASES)
def test_a_seed_is_reproducible(language_and_text: tuple[str, str]) -> None:
    language, text = language_and_text
    if language == "zh":
        pytest.importorskip("jieba", reason="jieba is missing (launch.py data teacher)")
    one, other = (hesitant(text, language, random.Random(3)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize("text", ["", "Yes.", "Thank you.", "No, thanks.", "Oh, I see."])
def test_short_turns_have_no_hesitation(text: str) -> None:
    assert hesitant(text, "en", random.Random(0)) is None


def test_all_kinds_occur() -> None:
    drawn = [hesitant(text, "en", random.Random(seed)) for text in ENGLISH for seed in range(20)]
    assert {found[1] for found in drawn if found} == set(KINDS)
