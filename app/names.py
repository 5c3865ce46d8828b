"""Extracts names from a conversation, to bias recognition."""

import re
from collections.abc import Iterable

_MOST = 12
_SENTENCE = re.compile(r"[.?!:;\n\"“”()]+\s*")
_NAME = re.compile(r"(?<!\w)[A-Z][\w'&-]*(?:\s+(?:[A-Z][\w'&-]*|(?:of|de|van|von|la)\b))*")
_NO_NAMES = frozenset("i i'm i'll i've i'd ok okay yes no oh mr mrs ms dr".split())
_TITLE = re.compile(r"《([^》]{1,20})》")  # Mandarin marks only the titles of works


def names_in(texts: Iterable[str]) -> tuple[str, ...]:
    """The distinct names in texts, newest text first.

    A name is a capitalised word that does not start a sentence.
    """
    found: dict[str, None] = {}
    for text in texts:
        for sentence in _SENTENCE.split(text.replace("’", "'")):
            found |= dict.fromkeys(_names(sentence.strip()))
        found |= dict.fromkeys(_TITLE.findall(text))
    return tuple(found)[:_MOST]


def _names(sentence: str) -> list[str]:
    first_word = sentence.split(" ", 1)[0].rstrip(",")
    found = []
    for match in _NAME.finditer(sentence):
        words = match[0].split()
        if match.start() == 0 and words[0] == first_word:
            words = words[1:]  # as in "Tell Anna"
        while words and _is_none(words[0]):
            words = words[1:]
        while words and _is_none(words[-1]):
            words = words[:-1]
        if words and len(" ".join(words)) > 1:
            found.append(" ".join(words).removesuffix("'s"))
    return found


def _is_none(word: str) -> bool:
    return word.lower() in _NO_NAMES or word.islower()
