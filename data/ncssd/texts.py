"""Comparing and counting the texts of turns."""

import unicodedata

from data.edit_distance import edit_errors
from data.languages import primary_language

_BY_CHARACTER = ("zh", "ja", "yue")


def units(text: str, language: str) -> list[str]:
    """Units for rates and error rates: words, or characters in Chinese and Japanese."""
    if primary_language(language) in _BY_CHARACTER:
        return [c for c in text if not c.isspace()]
    return text.split()


def agreement(first: str, second: str, language: str) -> float | None:
    """How far two texts of the same speech agree: 1 minus the word error rate of the second against
    the first, or the character error rate in Chinese and Japanese.

    Case and punctuation do not count.

    Returns:
        0 to 1; None if one of the texts has no words.
    """
    mine, other = units(_plain(first), language), units(_plain(second), language)
    if not mine or not other:
        return None
    return max(0.0, 1.0 - edit_errors(mine, other) / len(mine))


def _plain(text: str) -> str:
    """Lower-case letters, digits and marks; "don't" is "dont", other punctuation a space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = "".join(c for c in folded if c not in "'\u2019")
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded)
