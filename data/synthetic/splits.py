"""Assigns texts to splits by a hash of their words, reproducibly."""

import hashlib
import re

SPLITS = ("train", "validation", "test")
HELD_OUT_SHARE = 0.05
"""Fraction of sentences for test, and for validation."""

EXEMPT_WORDS = 3
# Not `data.text.HAN_LETTERS`: changed bounds would move texts to other splits.
_WORD = re.compile(r"[\u3400-\u9fff]|\d+|(?:(?![\u3400-\u9fff])[^\W\d_]|')+")


def normalised(text: str) -> str:
    """Lower-case words, numbers and Chinese characters, by which texts are compared."""
    return " ".join(_WORD.findall(text.lower()))


def split_of(sentence: str) -> str | None:
    """The split of a sentence; None for those of up to three words ("I see."), which all splits
    share since backchannels consist of them."""
    words = normalised(sentence)
    return None if len(words.split()) <= EXEMPT_WORDS else _split_of_key(words)


def split_of_words(text: str) -> str:
    """The split of a text of any length."""
    return _split_of_key(normalised(text))


def _split_of_key(key: str) -> str:
    share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
    if share < HELD_OUT_SHARE:
        return "test"
    return "validation" if share < 2 * HELD_OUT_SHARE else "train"
