"""Reads words in a requested way, as by SSML's `say-as`."""

import re

from models.text.languages.en import numbers
from models.text.languages.en.letters import LETTER_NAMES, MONTHS

_SIGNS = {
    **{".": "dot", "-": "dash", "_": "underscore", "@": "at", "/": "slash", "\\": "backslash"},
    **{"+": "plus", "&": "and", "#": "hash", "*": "star", "%": "percent", "$": "dollar"},
    **{"!": "exclamation mark", "?": "question mark", ",": "comma", ":": "colon", ";": "semicolon"},
    **{"'": "apostrophe", "=": "equals", "(": "open parenthesis", ")": "close parenthesis"},
    **{"<": "less than", ">": "greater than", "|": "pipe", "~": "tilde", '"': "quote"},
}
_NAMES = tuple(MONTHS.values())
_ORDERS = ("mdy", "dmy", "ymd", "ydm", "md", "dm", "my", "ym")


def say_as(text: str, reading: str, form: str = "") -> str:
    """The spoken form of a text.

    Args:
        text: as written.
        reading: "characters", "digits", "cardinal", "ordinal", "telephone" or "date"; for others
            the text is returned for the usual reading.
        form: the order of a date's parts, such as "dmy".

    Returns:
        Words for the usual reading.
    """
    if reading == "characters":
        return _spelled(text)
    if reading == "digits":
        return re.sub(r"\d+", lambda run: f" {numbers.digits(run[0])} ", text)
    if reading == "cardinal":
        return re.sub(r"\d[\d,]*", lambda run: _cardinal(run[0]), text)
    if reading == "ordinal":
        return re.sub(r"(\d[\d,]*)(?:st|nd|rd|th)?\b", lambda run: numbers.ordinal(run[1]), text)
    if reading == "telephone":
        return _telephone(text)
    return _date(text, form) if reading == "date" else text


def _spelled(text: str) -> str:
    """Letter by letter, with a pause between words."""
    words = (" ".join(filter(None, map(_character, word))) for word in text.split())
    return ", ".join(filter(None, words))


def _character(character: str) -> str:
    if character.isdecimal():
        return numbers.digits(character)
    known = LETTER_NAMES.get(character.lower()) or _SIGNS.get(character)
    return known or (character if character.isalpha() else "")


def _cardinal(number: str) -> str:
    return numbers.cardinal(number.replace(",", "").lstrip("0") or "0")


def _telephone(text: str) -> str:
    groups = [numbers.digits(group) for group in re.findall(r"\d+", text)]
    plus = "plus " if text.strip().startswith("+") else ""
    return plus + ", ".join(groups) if groups else text


def _date(text: str, form: str) -> str:
    """A numeric date in a given order; other dates are returned unchanged."""
    parts = re.findall(r"\d+", text)
    order = form.lower()
    if (
        order not in _ORDERS
        or len(parts) != len(order)
        or not re.fullmatch(r"[\d\s./-]+", text.strip())
    ):
        return text
    known = dict(zip(order, parts, strict=True))
    month = int(known["m"])
    if not 1 <= month <= 12:
        return text
    said = _NAMES[month - 1]
    if "d" in known:
        said += f" {numbers.ordinal(known['d'])}"
    return f"{said} {_year(known['y'])}" if "y" in known else said


def _year(written: str) -> str:
    return numbers.year(written) if len(written) == 4 else numbers.digits(written)
