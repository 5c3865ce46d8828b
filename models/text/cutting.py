"""How much of a text was spoken before it was cut off."""

import bisect
import re
from collections.abc import Iterable

from data.text import HAN_LETTERS
from models.text.frontend import normalise

# A word: one Chinese character, or a run of other non-space characters.
_WORD = re.compile(rf"[{HAN_LETTERS}]|[^\s{HAN_LETTERS}]+")


def text_up_to(text: str, words: list[str]) -> str:
    """The prefix of `text`, as written, that covers `words`, with its punctuation.

    Spoken words may be spelt differently ("one" for "1"), so words are counted, not searched for. A
    partly spoken word is kept whole.
    """
    ends = [0, *(found.end() for found in _WORD.finditer(text))]
    heard = _num_said(" ".join(words))
    first = bisect.bisect_left(ends, heard, key=lambda end: _num_said(text[:end]))
    return text[: ends[min(first, len(ends) - 1)]]


def text_heard_until(text: str, words: Iterable[tuple[str, float, float]], seconds: float) -> str:
    """The prefix of `text` whose words have started by `seconds`.

    Args:
        text: as written.
        words: (word, start, end) in seconds, as spoken.
        seconds: measured from the first sample.
    """
    return text_up_to(text, [word for word, start, _ in words if start < seconds])


def _num_said(text: str) -> int:
    return sum(any(map(str.isalnum, word)) for word in _WORD.findall(normalise(text, None)))
