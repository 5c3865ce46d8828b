"""Normalises written English to spoken words, each linked to its source."""

import re
from dataclasses import dataclass

from models.text.languages.en import numbers
from models.text.languages.en.cleaning import clean
from models.text.languages.en.letters import INTERJECTIONS, LETTER_NAMES
from models.text.languages.en.numbers import LONGEST_NUMBER_DIGITS
from models.text.languages.en.readings import READINGS
from models.text.languages.en.signs import SIGNS
from models.text.symbols import PUNCTUATION

_BRACKET = "("
"""A pause that a bracket asks for: a comma, or nothing where another pause stands already."""

_DIGIT_GROUP = 4
_STRENGTH = {_BRACKET: 0, ",": 1, ":": 2, ";": 3, "—": 4, ".": 5, "!": 6, "?": 7}
_TOKEN = re.compile(r"[^\W_]+(?:[^\W_]|['-](?=[^\W_]))*|[,.?!;:—()]")
_POSSESSIVE = re.compile(r"'s(?!\w)", re.I)
_DRAWN_OUT = re.compile(r"([^\W\d_])\1{2,}", re.I)
# Where a reading can start; texts without a match are plain words.
_MAY_NEED_READING = re.compile(
    rf"[\d\\/{re.escape(''.join(SIGNS))}]"
    r"|[A-Z]'?[A-Z]|\w?\.\w|\b[A-Za-z]{1,6}\.|\bw/|'n\b|\b[A-HJ-Zb-z]\b|\w I\b|\b[ivx]{2,}\b"
    r"|\b(?:Mon|Tues?|Wed|Thu|Thurs?|Fri|Sat|Sun)\s?[-–]"
    r"|\bdot sh\b|[a-z][A-Z]|\b(?:km|kg|cm|mm|mg|mph|kph|lbs|rpm|sq|cu|Hz)\b"
)


@dataclass(frozen=True)
class SpokenWord:
    """A written word and its spoken words; a pause has a mark instead of words."""

    written: str
    words: tuple[str, ...] = ()
    mark: str = ""


def _words(text: str) -> tuple[str, ...]:
    """Splits a reading or a plain word at hyphens and spaces."""
    return tuple(_undrawn(word) for word in re.split(r"[\s-]+", text.replace("_", " ")) if word)


def _undrawn(word: str) -> str:
    """Shortens a lengthened word: "sooo" -> "so", "coool" -> "cool"."""
    if not _DRAWN_OUT.search(word):
        return word
    return _DRAWN_OUT.sub(r"\1\1", re.sub(r"(.)\1{2,}$", r"\1", word))


def _plain(text: str) -> list[SpokenWord]:
    found = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in _STRENGTH or token == ")":
            found.append(SpokenWord("", mark=_BRACKET if token in "()" else token))
        else:
            words = [_said(word) for word in _words(token.strip("'-"))]
            found.append(SpokenWord(token, tuple(one for word in words for one in word.split())))
    return found


def _said(word: str) -> str:
    """Respells a plain word for speech: interjections, lengthened words, single letters."""
    runs = re.findall(r"\d+|\D+", word)
    if any(run.isdecimal() for run in runs):  # unmatched by any reader: "1,0003.5"
        return " ".join(numbers.cardinal(run) if run.isdecimal() else _said(run) for run in runs)
    small = word.lower()
    if small in INTERJECTIONS:
        return INTERJECTIONS[small]
    return word if word in ("a", "A", "I") else LETTER_NAMES.get(small, word)


def _in_groups(written: str, words: tuple[str, ...]) -> list[SpokenWord]:
    """Splits long runs of digits, which are read one by one, to bound the length of a word."""
    if len(written) <= LONGEST_NUMBER_DIGITS or len(words) != len(written):
        return [SpokenWord(written, words)]
    return [
        SpokenWord(written[at : at + _DIGIT_GROUP], words[at : at + _DIGIT_GROUP])
        for at in range(0, len(written), _DIGIT_GROUP)
    ]


def _ends_sentence(written: str, text: str, end: int) -> bool:
    """Whether an abbreviation's full stop also ends the sentence ("... at 5 p.m.")."""
    return written.endswith(".") and re.compile(r"[ )]*$").match(text, end) is not None


class _Readings:
    """Finds the readings of a text from left to right.

    A match stays valid until the scan passes its start, so each pattern scans the text only once,
    however many readings there are.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: list[tuple[int, int, str] | None] = [(-1, -1, "")] * len(READINGS)

    def next(self, position: int) -> tuple[int, int, str] | None:
        """Start, end and words of the first reading at or after `position`.

        Among readings with the same start, the first in the order of `READINGS` wins.
        """
        for number, found in enumerate(self._found):
            if found and found[0] < position:
                self._found[number] = self._search(number, position)
        there = [found for found in self._found if found]
        return min(there, key=lambda found: found[0], default=None)

    def _search(self, number: int, position: int) -> tuple[int, int, str] | None:
        pattern, reader = READINGS[number]
        while match := pattern.search(self._text, position):
            words = reader(match)
            if words is not None and match.end() > match.start():
                return match.start(), match.end(), words
            position = match.start() + 1
        return None


def _scan(text: str) -> list[SpokenWord]:
    if not _MAY_NEED_READING.search(text):
        return _plain(text)
    found: list[SpokenWord] = []
    readings, position = _Readings(text), 0
    while reading := readings.next(position):
        start, end, words = reading
        if possessive := _POSSESSIVE.match(text, end):  # "Elizabeth II's", but "$5's worth"
            end = possessive.end()
            words += "" if re.search("[^s]s$", words) else "'s"
        written = text[start:end].strip()
        found += _plain(text[position:start])
        found += _in_groups(written.strip("'"), _words(words))
        if _ends_sentence(written, text, end):
            found.append(SpokenWord("", mark="."))
        position = end
    return found + _plain(text[position:])


def _without_doubled_marks(found: list[SpokenWord]) -> list[SpokenWord]:
    """Keeps the strongest of adjacent marks; drops leading marks and a final bracket."""
    tidy: list[SpokenWord] = []
    for item in found:
        if item.words:
            tidy.append(item)
        elif item.mark and tidy:
            if not tidy[-1].mark:
                tidy.append(item)
            elif _STRENGTH[item.mark] > _STRENGTH[tidy[-1].mark]:
                tidy[-1] = item
    if tidy and tidy[-1].mark == _BRACKET:
        tidy.pop()
    return [SpokenWord("", mark=",") if item.mark == _BRACKET else item for item in tidy]


def read_aloud(text: str) -> list[SpokenWord]:
    """Converts a text to what is spoken, in order.

    Args:
        text: English, written by a person or a language model.

    Returns:
        Written words with their spoken words ("$5" -> "five", "dollars"), and pauses. Empty if
        nothing is pronounceable, as in a text of emoji.
    """
    return _without_doubled_marks(_scan(clean(text)))


def normalise(text: str) -> str:
    """Normalises a text: removes markdown and emoji; spells out numbers, dates and money.

    Idempotent.

    >>> normalise("**Dr.** Smith paid $5 on 3/4/2024 😀")
    'Doctor Smith paid five dollars on March fourth twenty twenty four'
    """
    pieces: list[str] = []
    for item in read_aloud(text):
        if item.mark and item.mark != "—":
            pieces[-1] += item.mark
        else:
            pieces.append(item.mark or " ".join(item.words))
    return " ".join(pieces)


assert set(_STRENGTH) - {_BRACKET} == set(PUNCTUATION)
