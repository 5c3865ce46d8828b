"""How likely the last words of a transcript end a sentence: "for the" seldom, "for you" often.

An n-gram model of ends with back-off, counted in written dialogues by
`python -m data.recognition.sentence_ends_training`. Words are lower-case; Mandarin is counted per
character, at ends of words.
"""

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path

from data.text import HAN_LETTERS

TABLE = Path(__file__).with_name("sentence_ends.json")
LONGEST = 3  # words or characters that count
START = "^"
UNKNOWN = {"word": "*", "character": "＊"}
"""Entries for all rare words and characters."""
_TOKEN = re.compile(rf"[a-z0-9][a-z0-9']*|[{HAN_LETTERS}]")
_CLOSED = re.compile(r"[.?!。？！\s]+$")
# Fillers, conjunctions, and the marks that Whisper writes where a voice trails off.
_FILLER = r"\bu[hm]+|\ber+m?|\bh?m+|[嗯呃额]|那个|那個"
_CONJUNCTION = (
    r"\b(?:and|but|or|because|if)|因为|因為|所以|但是|可是|如果|虽然|雖然|而且|或者|"
    "还有|還有|然后|然後"
)
_TRAILING_OFF = re.compile(
    rf"(?:{_FILLER}|{_CONJUNCTION}|[,，、\-—])[.?!。？！\s]*$|(?:\.\.\.|…)\s*$", re.IGNORECASE
)
_NEVER = -5.0


def tokens(text: str) -> list[str]:
    """Lower-case words and Han characters."""
    return _TOKEN.findall(text.lower())


def end_log_odds(text: str) -> float | None:
    """The log odds that a sentence ends after the last words of a text; None if it has no words."""
    words = tokens(text)
    if not words:
        return None
    if trails_off(text):
        return _NEVER
    return look_up(_table(), [START, *words][-LONGEST:])


def trails_off(text: str) -> bool:
    """Whether a text ends with a filler, a conjunction or a mark of an unfinished sentence."""
    return bool(_TRAILING_OFF.search(text))


def look_up(table: dict[str, float], words: Sequence[str]) -> float:
    """The entry of the longest end of `words` that has one."""
    for first in range(len(words)):
        found = table.get(" ".join(words[first:]))
        if found is not None:
            return found
    return table[UNKNOWN["word" if words[-1].isascii() else "character"]]


@functools.cache
def _table() -> dict[str, float]:
    return json.loads(TABLE.read_text(encoding="utf-8"))
