"""Written text to words that are said, each tied to what was written for it."""

import re
from dataclasses import dataclass

from models.text.cleaning import clean
from models.text.letters import LETTER_NAMES
from models.text.readings import READINGS
from models.text.symbols import PUNCTUATION

_BRACKET = "("
"""A pause that a bracket asks for: a comma, or nothing where another pause stands already."""

_STRENGTH = {_BRACKET: 0, ",": 1, ":": 2, ";": 3, "—": 4, ".": 5, "!": 6, "?": 7}
_TOKEN = re.compile(r"[^\W_]+(?:[^\W_]|['-](?=[^\W_])|\N{COMBINING ACUTE ACCENT})*|[,.?!;:—()]")
# A place where any of the readings can begin: texts without one are plain words.
_MAY_NEED_READING = re.compile(
    r"[\d$€£¥₹¢&@#%°+=×÷±<>~]|[A-Z]{2}|\w\.\w|\b[A-Za-z]{1,6}\.|\bw/|'n'|\b[A-HJ-Zb-z]\b"
)


@dataclass(frozen=True)
class Spoken:
    """One written word and the words said for it; a pause has a mark instead of words."""

    written: str
    words: tuple[str, ...] = ()
    mark: str = ""


def _words(text: str) -> tuple[str, ...]:
    """Splits what a reader returned, or a plain word, at hyphens and spaces."""
    return tuple(word for word in re.split(r"[\s-]+", text.replace("_", " ")) if word)


def _plain(text: str) -> list[Spoken]:
    found = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in _STRENGTH or token == ")":
            found.append(Spoken("", mark=_BRACKET if token in "()" else token))
        else:
            word = token.strip("'-")
            name = LETTER_NAMES.get(word.lower()) if word not in ("a", "A", "I") else None
            found.append(Spoken(token, _words(name or word)))
    return found


def _ends_sentence(written: str, text: str, end: int) -> bool:
    """Whether the full stop of an abbreviation is that of its sentence too ("... at 5 p.m.")."""
    return written.endswith(".") and not text[end:].strip(" )")


def _first_reading(text: str, start: int) -> tuple[int, int, str] | None:
    """Finds the earliest place that a reader takes; of several there, the first in order."""
    best: tuple[int, int, str] | None = None
    for pattern, reader in READINGS:
        position = start
        while match := pattern.search(text, position):
            if best and match.start() >= best[0]:
                break
            words = reader(match)
            if words is not None and match.end() > match.start():
                best = match.start(), match.end(), words
                break
            position = match.start() + 1
    return best


def _scan(text: str) -> list[Spoken]:
    found: list[Spoken] = []
    position = 0
    while position < len(text):
        # Only a window is searched: a reading is short, and a long text would be searched through
        # by every pattern for every number in it.
        needs = _MAY_NEED_READING.search(text, position)
        reading = needs and _first_reading(text, position)
        if not reading:
            found += _plain(text[position:])
            break
        start, end, words = reading
        written = text[start:end].strip()
        found += _plain(text[position:start])
        found.append(Spoken(written.strip("'"), _words(words)))
        if _ends_sentence(written, text, end):
            found.append(Spoken("", mark="."))
        position = end
    return found


def _without_doubled_marks(found: list[Spoken]) -> list[Spoken]:
    """Leaves the strongest of marks that meet, none at the beginning, no bracket at the end."""
    tidy: list[Spoken] = []
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
    return [Spoken("", mark=",") if item.mark == _BRACKET else item for item in tidy]


def read_aloud(text: str) -> list[Spoken]:
    """Turns a text into what is said, in order.

    Args:
        text: anything a person or a language model wrote, in English.

    Returns:
        Written words with the words said for them ("$5" -> "five", "dollars"), and pauses. Empty
        when there is nothing to say, as in a text of emoji.
    """
    return _without_doubled_marks(_scan(clean(text)))


def normalise(text: str) -> str:
    """Writes a text as it is said: markdown and emoji out; numbers, dates, money as words.

    Doing it twice changes nothing.

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
