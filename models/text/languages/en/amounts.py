"""Shared by the readers of numbers: number patterns and inflection of counted nouns."""

import re

from models.text.languages.en import numbers
from models.text.languages.en.context import after, before

NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
MAGNITUDES = {
    **{"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion"},
    **{"t": "trillion", "tn": "trillion", "mio": "million", "mrd": "billion"},
}
MAGNITUDE = r"(?:thousand|million|billion|trillion|mn|bn|tn|Mio|Mrd|[kKmMbBtT])\b"
_IRREGULAR_PLURALS = {
    **{"penny": "pence", "foot": "feet", "paisa": "paise"},
    **{"real": "reais", "krona": "kronor", "krone": "kroner"},
}
_SAME_IN_PLURAL = frozenset(
    """yen won yuan baht horsepower lux kelvin you rand millimolar micromolar nanomolar""".split()
)


def plural_of(noun: str) -> str:
    """The plural, at "#" if the noun marks the place: "mile# per hour" -> "miles per hour"."""
    if noun.startswith("per "):  # "5 mol⁻¹"
        return noun
    noun, _, tail = noun.partition("#")
    head, space, last = noun.rpartition(" ")
    if last.endswith("hertz") or last in _SAME_IN_PLURAL:
        many = last
    else:
        many = _IRREGULAR_PLURALS.get(last) or numbers.plural(last)
    return f"{head}{space}{many}{tail}"


def singular_of(noun: str) -> str:
    """The noun without its plural mark."""
    return noun.replace("#", "")


def counted(amount: str, noun: str) -> str:
    """Joins a number and its noun: "1" and "mile# per hour" -> "one mile per hour"."""
    one = amount.replace(",", "") == "1"
    return f"{numbers.decimal(amount)} {singular_of(noun) if one else plural_of(noun)}"


_ARTICLE = re.compile(r"\ban?\s\Z", re.I)
_NO_NOUN = re.compile(
    r"\s(?:wide|tall|long|deep|high|thick|away|apart|above|below|more|less|later|earlier|ago|per|by"
    r"|and|or|but|in|is|are|was|were|at|of|off|to|from|for|with|on|over|under|than|then|if|as|so|x"
    r"|when|where|while|which|that|because|after|before|until|since|across|around|each|too|it|he"
    r"|she|they|we|you|apiece|short|only|not)\b"
)


_NOUN = re.compile(r"\s(?:[a-z]{3}|(?:TV|HDTV|LCD|LED|OLED|SSD|PVC)\b)")


def describes_noun(match: re.Match[str]) -> bool:
    """Whether a noun seems to follow an amount, as in "27 inch monitor"."""
    following = after(match)
    return _NOUN.match(following) is not None and not _NO_NOUN.match(following)


def is_attribute(match: re.Match[str]) -> bool:
    """Whether an amount modifies the following noun, as in "a 5 km run": it is then singular."""
    return _ARTICLE.search(before(match)) is not None and describes_noun(match)
