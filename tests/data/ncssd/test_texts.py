"""Counting and comparing the texts of turns."""

import pytest

from data.ncssd.texts import agreement, units


def test_words_are_counted_and_in_chinese_characters():
    assert units("well, I never", "en") == ["well,", "I", "never"]
    for language in ("zh", "zh-CN", "ZH_tw", "ja-JP", "yue-HK", "cmn"):
        assert units("我 不知道。", language) == list("我不知道。")


@pytest.mark.parametrize(
    ("first", "second", "language", "expected"),
    [
        ("Don't, please!", "dont please", "en", 1.0),
        ("one two three four", "one two for four", "en", 0.75),
        ("one two", "one one and two and more", "en", 0.0),
        ("Ça va, José?", "ça va josé", "fr-FR", 1.0),
        ("हिन्दी में।", "हिन्दी में", "hi", 1.0),
        ("我不知道。", "我，不知", "zh", 0.75),
        ("そうです。", "そう です", "ja", 1.0),
        ("", "yes", "en", None),
        ("yes", "", "en", None),
        ("...", "yes", "en", None),
    ],
)
def test_agreement_compares_words_without_case_and_punctuation(first, second, language, expected):
    assert agreement(first, second, language) == expected
