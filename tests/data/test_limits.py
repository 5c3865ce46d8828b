"""Text has one set of limits, and what exceeds them is refused in words."""

import pytest

from data.errors import InputError
from data.limits import (
    MAX_CONTEXT,
    MAX_CONTEXT_TURNS,
    MAX_SPOKEN,
    MAX_TYPED,
    last_words,
    limited_context,
    limited_text,
)


@pytest.mark.parametrize("most", [MAX_TYPED, MAX_SPOKEN])
def test_a_text_up_to_the_limit_is_taken(most: int) -> None:
    assert limited_text("x" * most, most) == "x" * most
    assert limited_text("Hi \ud83d there", most) == "Hi  there"
    with pytest.raises(InputError, match=f"the item has {most + 1} characters; at most {most}"):
        limited_text("x" * (most + 1), most, "the item")


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\ud83d", " \udc00 "])
def test_a_text_without_words_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is empty"):
        limited_text(text, MAX_TYPED)


def test_turns_are_limited_together() -> None:
    limited_context([])
    limited_context([MAX_CONTEXT])
    limited_context([1] * MAX_CONTEXT_TURNS)
    with pytest.raises(InputError, match="39000 characters in total"):
        limited_context([1950] * 20)
    with pytest.raises(InputError, match="65 turns"):
        limited_context([1] * (MAX_CONTEXT_TURNS + 1))


@pytest.mark.parametrize(
    ("text", "most", "kept"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "two three"),
        ("one two three", 9, "two three"),
        ("one two three", 8, "three"),
        ("one two three", 3, "ree"),
        ("one two ", 2, "o"),
        ("9" * 50, 7, "9" * 7),
        ("", 5, ""),
    ],
)
def test_the_end_of_a_text_begins_with_a_word(text: str, most: int, kept: str) -> None:
    assert last_words(text, most) == kept
