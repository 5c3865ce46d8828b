"""Sentence splitting, of whole and streamed texts alike."""

import random

import pytest

from models.text import SentenceStream, split_sentences
from models.text.sentences import LONGEST_SENTENCE

SPLIT = {
    "Hello there. How are you?": ["Hello there.", "How are you?"],
    "hello there. how are you": ["hello there.", "how are you"],
    "Dr. Smith paid $3.50. He left.": ["Dr. Smith paid $3.50.", "He left."],
    "We met at 5 p.m. Then we ate.": ["We met at 5 p.m.", "Then we ate."],
    "We met at 5 p.m. EST. Then we ate.": ["We met at 5 p.m. EST.", "Then we ate."],
    "From 9 a.m. GMT until noon.": ["From 9 a.m. GMT until noon."],
    "At 5 p.m. ET it begins.": ["At 5 p.m. ET it begins."],
    "We met at 5 p.m. ETA unknown.": ["We met at 5 p.m.", "ETA unknown."],
    "Built ca. 1850. Sold in 1900.": ["Built ca. 1850.", "Sold in 1900."],
    "At 5 p.m. on Monday.": ["At 5 p.m. on Monday."],
    "J. R. Smith wrote it. Yes.": ["J. R. Smith wrote it.", "Yes."],
    "So did I. You too.": ["So did I.", "You too."],
    "The cat sat. The dog did not.": ["The cat sat.", "The dog did not."],
    "Take No. 5. Go.": ["Take No. 5.", "Go."],
    "Wait 10 min. then stir. Eat.": ["Wait 10 min. then stir.", "Eat."],
    "I am 6 ft. tall. He is not.": ["I am 6 ft. tall.", "He is not."],
    "It takes 5 min. He waits.": ["It takes 5 min.", "He waits."],
    "in Dec. we left. It snowed.": ["in Dec. we left.", "It snowed."],
    "She came in Dec. We left.": ["She came in Dec.", "We left."],
    "In the U.S. Navy. Yes.": ["In the U.S. Navy.", "Yes."],
    "I live in the U.S. It is big.": ["I live in the U.S.", "It is big."],
    "the U.K. Parliament met": ["the U.K. Parliament met"],
    "It costs Rs. 500. Cheap.": ["It costs Rs. 500.", "Cheap."],
    "See Vol. II. Then stop.": ["See Vol. II.", "Then stop."],
    "See Eq. 5 and cf. that. Good.": ["See Eq. 5 and cf. that.", "Good."],
    "No. I said so.": ["No.", "I said so."],
    "Wait... what? No!": ["Wait... what?", "No!"],
    '"Really?" she asked. "Yes."': ['"Really?" she asked.', '"Yes."'],
    "Oh?! Well!! Fine": ["Oh?!", "Well!!", "Fine"],
    "1. First\n2. Second": ["1. First", "2. Second"],
    "Buy:\n- eggs\n- milk": ["Buy:", "- eggs", "- milk"],
    "a wrapped\nline. And more": ["a wrapped\nline.", "And more"],
    "one\n\ntwo": ["one", "two"],
    "Look: ```\na. b. C\n\nd\n``` Done. Good": ["Look: ```\na. b. C\n\nd\n``` Done.", "Good"],
    "你好。 再见！": ["你好。", "再见！"],
    "你好。再见！好的": ["你好。", "再见！", "好的"],
    "我用Python。It works.": ["我用Python。", "It works."],
    "": [],
    " \n ": [],
}


def pieces(text: str, draw: random.Random) -> list[str]:
    found = []
    while text:
        length = draw.choice((1, 1, 2, 3, 7, 40))
        found.append(text[:length])
        text = text[length:]
    return found


def streamed(parts: list[str]) -> list[str]:
    stream = SentenceStream()
    return [sentence for part in parts for sentence in stream.push(part)] + stream.flush()


@pytest.mark.parametrize(("text", "sentences"), SPLIT.items())
def test_splits(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_streaming_equals_the_whole() -> None:
    draw = random.Random(11)
    parts = [
        *SPLIT,
        "x" * 700,
        "word " * 150,
        "a, b; c " * 80,
        "```",
        "\n\n",
        "3.",
        "Mr.",
        " ",
        "...",
        "今天的天气真不错",
        "我们走吧。",
        "我喜欢猫，" * 30,
    ]
    for _ in range(400):
        text = "".join(draw.choice(parts) + draw.choice(("", " ", "\n")) for _ in range(5))
        assert streamed(pieces(text, draw)) == split_sentences(text), repr(text)


def test_nothing_is_lost_and_nothing_too_long() -> None:
    draw = random.Random(12)
    for _ in range(100):
        text = " ".join(
            "".join(draw.choice("abcdefg") for _ in range(draw.randint(1, 12)))
            + draw.choice(("", "", "", ",", ".", "; "))
            for _ in range(200)
        )
        found = split_sentences(text)
        assert "".join("".join(found).split()) == "".join(text.split())
        assert all(len(sentence) <= LONGEST_SENTENCE for sentence in found)


@pytest.mark.parametrize("pause", ["", "，", "、", "；", " "])
def test_chinese_sentences_are_as_long_in_time_as_english(pause: str) -> None:
    text = (f"今天的天气真不错我们一起去公园走走{pause}" * 170)[:3000]
    found = split_sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(20 <= len(sentence) <= LONGEST_SENTENCE // 5 for sentence in found[:-1])
    if pause.strip():
        assert all(sentence.endswith(pause) for sentence in found[:-1])


def test_sentences_are_emitted_early() -> None:
    stream = SentenceStream()
    assert stream.push("I see. I") == ["I see."]
    assert stream.push("t was Dr.") == []
    assert stream.push(" Wu") == []
    assert stream.flush() == ["It was Dr. Wu"]
    assert stream.flush() == []
