"""Text is made valid where it enters."""

import json

import pytest

from data.text import valid_text


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (r"Hi \ud83d there", "Hi  there"),
        (r"\ud83dHi", "Hi"),
        (r"Hi\udc00", "Hi"),
        (r"\ude00\ud83d", ""),
        (r"a\ud83d\ud83d\ude00b", "a😀b"),
        (r"a\ud83d\ude00\ude00b", "a😀b"),
        (r"\ud800\ud801\udfff", "\U000107ff"),
        (r"\ud83d \ude00", " "),
        (r"caf\u00e9 \ufffd \u0000", "café \ufffd \0"),
        ("", ""),
    ],
)
def test_lone_surrogates_are_dropped(sent: str, expected: str) -> None:
    text = valid_text(json.loads(f'"{sent}"'))
    assert text == expected
    assert text.encode().decode() == text


def test_pairs_that_were_decoded_apart_are_joined() -> None:
    assert valid_text("\ud83d" + "\ude00") == "😀"


def test_valid_text_is_returned_as_it_is() -> None:
    text = "Grüße, 你好, 😀"
    assert valid_text(text) is text
