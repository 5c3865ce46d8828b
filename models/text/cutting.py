"""How much of a text has been said when it was cut off."""

import bisect
import re
from collections.abc import Iterable

from data.text import HAN_LETTERS
from models.text.frontend import normalise

# What counts as a word: a Chinese character, or a stretch of anything else without a space.
_WORD = re.compile(rf"[{HAN_LETTERS}]|[^\s{HAN_LETTERS}]+")


def text_up_to(text: str, words: list[str]) -> str:
    """The beginning of `text`, as written, that says as much as `words`, with its marks.

    What is said may be spelt otherwise ("one" for "1"), so words are counted, not looked for. A
    written word that was begun is kept whole.
    """
    ends = [0, *(found.end() for found in _WORD.finditer(text))]
    heard = _num_said(" ".join(words))
    first = bisect.bisect_left(ends, heard, key=lambda end: _num_said(text[:end]))
    return text[: ends[min(first, len(ends) - 1)]]


def text_heard_until(text: str, words: Iterable[tuple[str, float, float]], seconds: float) -> str:
    """The beginning of `text` whose words had begun by `seconds`.

    Args:
        text: as written.
        words: of its speech: (word, start, end) in seconds.
        seconds: from the first sample on.
    """
    return text_up_to(text, [word for word, start, _ in words if start < seconds])


def _num_said(text: str) -> int:
    return sum(any(map(str.isalnum, word)) for word in _WORD.findall(normalise(text, None)))
