"""Which split a text belongs to: a hash of its words says so, on every machine and for ever."""

import hashlib
import re

SPLITS = ("train", "validation", "test")
HELD_OUT_SHARE = 0.05
"""Of sentences, for test and for validation each."""

EXEMPT_WORDS = 3
# Not `data.text.HAN_LETTERS`: with other bounds a text could move into another split.
_WORD = re.compile(r"[\u3400-\u9fff]|\d+|(?:(?![\u3400-\u9fff])[^\W\d_]|')+")


def normalised(text: str) -> str:
    """Lower-case words, numbers and Chinese characters: what makes two texts the same."""
    return " ".join(_WORD.findall(text.lower()))


def split_of(sentence: str) -> str | None:
    """The split of a sentence; None for those of three words or fewer ("I see."), which all splits
    share: without them there are no backchannels."""
    words = normalised(sentence)
    return None if len(words.split()) <= EXEMPT_WORDS else _split_of_key(words)


def split_of_words(text: str) -> str:
    """The split of a whole text, however short."""
    return _split_of_key(normalised(text))


def _split_of_key(key: str) -> str:
    share = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") / 2**32
    if share < HELD_OUT_SHARE:
        return "test"
    return "validation" if share < 2 * HELD_OUT_SHARE else "train"
