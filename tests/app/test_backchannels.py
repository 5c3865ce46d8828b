"""Backchannels are told from words, whole and cut off."""

import pytest

from app.backchannels import (
    begins_with_backchannel,
    is_backchannel,
    is_clear_backchannel,
    is_sentence,
)


@pytest.mark.parametrize(
    "text",
    [
        "Mm-hm.", "Yeah", "uh-huh", "Right, right.", "Okay.", "I see.", "Oh really?", "Amen", "",
        "I'm high", "Mhm mhm", "Hahaha", "Oh, wow!", "Got it.", "That makes sense.",
        "That\u2019s right.",
        "嗯。", "对对", "是的。", "對對", "好的，好的", "没错", "知道了", "OK，好",
    ],
)  # fmt: skip
def test_backchannels(text: str) -> None:
    assert is_backchannel(text)


@pytest.mark.parametrize(
    "text",
    [
        "Wait", "Stop!", "No", "Yeah but", "What about", "Hold on", "Okay so", "I want", "Can you",
        "Right now", "等一下", "不对", "不是", "好的，但是", "为什么", "2 o'clock",
    ],
)  # fmt: skip
def test_words(text: str) -> None:
    assert not is_backchannel(text)


@pytest.mark.parametrize(
    "text",
    ["I", "That makes", "Sounds", "明", "Oh, that", "Over over over", "I see you. I see you. I"],
)
def test_fragments_are_no_sentences(text: str) -> None:
    assert not is_sentence(text)


@pytest.mark.parametrize("text", ["I want", "That is", "Wait, what", "等一下", "Okay so what"])
def test_sentences(text: str) -> None:
    assert is_sentence(text)


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("Yeah, sir.", True),
        ("Yeah, see. Yeah, see. Yeah", True),
        ("Oh", True),
        ("", True),
        ("嗯，你", True),
        ("Oh no", False),
        ("好，停", False),
        ("Yeah, but what", False),
        ("Stop", False),
    ],
)
def test_one_odd_word_behind_a_backchannel_is_noise(text: str, begins: bool) -> None:
    assert begins_with_backchannel(text) is begins


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("Yeah", True),
        ("Wow. Wow. Wow", True),
        ("对", True),
        ("Hum", False),
        ("Oh", False),
        ("哦，", False),
        ("", False),
        ("Yeah but what", False),
    ],
)
def test_hums_are_not_clear(text: str, clear: bool) -> None:
    """The first 200 ms of "hold" and "how" are written as hums."""
    assert is_clear_backchannel(text) is clear
