"""Readings of abbreviations, words in capitals and single letters."""

import re

from models.text.languages.en import numbers
from models.text.languages.en.context import Reader, after, before
from models.text.languages.en.initials import MIXED, acronym, is_shouted, mixed, spell
from models.text.languages.en.letters import ABBREVIATIONS, LETTER_NAMES, NEED_A_NUMBER, TITLES
from models.text.languages.en.numerals import NUMERALS


def _dotted(match: re.Match[str]) -> str:
    """Reads letters with full stops: "U.S.", "e.g.", "J.R.R."."""
    plain = match[0].strip(".").lower()
    return ABBREVIATIONS.get(plain) or spell(plain)


_NUMBER_OF: dict[str, str] = {
    **dict.fromkeys(("vol", "fig", "ch", "sec"), r"\s*(?:\d|[IVXL]+\b)"),
    # not words, so a full stop suffices
    **dict.fromkeys("jan feb apr jun jul aug sept oct nov dec".split(), r"\s*(?:[\da-z]|$)"),
}
_BEFORE_A_NUMBER = {"p": "page", "c": "circa", "ca": "circa"}


def _abbreviation(match: re.Match[str]) -> str | None:
    word, following = match["word"].lower(), after(match)
    if word in TITLES and re.match(r"\s+[A-Z]", following):
        return TITLES[word]
    if word in ("st", "dr"):
        street = re.search(r"[A-Z][\w']*\s+$|\d\w*\s+$", before(match))
        names = {"st": ("Street", "Saint"), "dr": ("Drive", "Doctor")}[word]
        return names[0] if street else names[1]
    if word in TITLES:
        return None if word in ("gen", "col", "rep", "hon", "pres", "gov", "ft") else TITLES[word]
    if word in NEED_A_NUMBER and not re.match(_NUMBER_OF.get(word, r"\s*\d"), following):
        return None
    if word == "co" and match["word"] == "co":
        return None
    return ABBREVIATIONS.get(word)


_NEIGHBOUR_BEFORE, _NEIGHBOUR_AFTER = re.compile(r"([\w']+)[ ,]+$"), re.compile(r"[ ,]+([\w']+)")


def _stands_among_shouted(match: re.Match[str]) -> bool:
    around = _NEIGHBOUR_BEFORE.search(before(match)), _NEIGHBOUR_AFTER.match(after(match))
    words = [found[1] for found in around if found]
    # "I" is always capital, so beside it only "I AM" shows emphasis.
    return any(map(is_shouted, words)) or (match["capitals"] == "AM" and "I" in words)


def _capitals(match: re.Match[str]) -> str:
    shouted = match["ending"] == "'S" or _stands_among_shouted(match)
    spoken = acronym(match["capitals"], shouted)
    if not match["ending"]:
        return spoken
    spelt = spoken.lower() == spell(match["capitals"])
    return numbers.plural(spoken) if spelt else f"{spoken}{match['ending'].lower()}"


def _joined(match: re.Match[str]) -> str:
    """Reads initials joined by "&": "AT&T", "R&D"."""
    return " and ".join(map(spell, match[0].split("&")))


def _contraction(match: re.Match[str]) -> str:
    """Reads "DON'T" and "I'M": capitals with such endings are emphasis, never initials."""
    word = match[0].lower()
    return word.capitalize() if word.startswith("i'") else word


_LETTERED = re.compile(
    r"\b(?:an|plan|type|grade|class|vitamin|group|part|team|option|letter|section|block)\s+$", re.I
)


def _single_letter(match: re.Match[str]) -> str | None:
    letter = match["letter"]
    if letter in "aI":
        return None
    if letter == "A" and re.match(r"\s+(?:[a-z'\d$€£¥]|[A-Z]\w)|\s*$", after(match)):
        named = _LETTERED.search(before(match))
        return LETTER_NAMES["a"] if named else None
    return LETTER_NAMES[letter.lower()]


SHORTENED: tuple[tuple[str, Reader], ...] = (
    *NUMERALS,
    (
        r"(?<![\w.])(?:[A-Za-z]\.){2,}[A-Za-z]?(?!\w)"
        r"|(?<!\w)(?:Ph\.D|[BM]\.Sc)(?!\w)\.?|(?<![\w.])(?:[A-Z]\.[A-Z]|[ap]\.m)(?![\w.])",
        _dotted,
    ),
    (r"(?<!\w)w/o?(?= )|(?<!\w)(?:b/c|c/o|[nN]/[aA])(?![\w/])", _dotted),
    (r"(?<![\w.])(?P<word>p|ca?)\.(?= ?\d)", lambda match: _BEFORE_A_NUMBER[match["word"]]),
    (r"(?<!\w)'n'(?!\w)|(?<=[a-z] )'n(?= [a-z])", lambda match: "and"),
    (rf"(?<![\w.])(?:{MIXED})(?![\w&])", lambda match: mixed(match[0])),
    (r"(?<![\w.])(?P<word>[A-Za-z]{2,6})\.(?!\w)", _abbreviation),
    (r"(?<![\w.])(?P<word>[A-Z][a-z]{1,5})\.(?=[A-Z\d])", _abbreviation),
    (r"(?<![\w&])[A-Z]{1,2}&[A-Z]{1,2}(?![\w&])", _joined),
    (r"(?<!\w)(?<!\w')(?P<capitals>[A-Z]{2,})(?P<ending>'?s|'S)?(?!'?\w)", _capitals),
    (r"(?<!\w)(?<!\w')[A-Z]+(?:'[A-Z]+)+(?!\w)", _contraction),
    (r"(?<![\w'.-])(?P<letter>[A-Za-z])(?:\.(?=\s*[A-Z])|(?![\w'-]))", _single_letter),
)
"""Patterns and their readers, in the order in which they are tried."""
