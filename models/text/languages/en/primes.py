"""Primes after numbers: feet and inches, minutes and seconds of arc.

They look like quotes and apostrophes: 5' and 7" are lengths only if no quote is open, and '90s are
years.
"""

import re

from models.text.languages.en.amounts import describes_noun

_FEET, _INCHES = "['’′]", "(?:[\"”″]|''|’’|′′)"
_AMOUNT = r"\d{1,6}(?:\.\d{1,4})?(?:\s?[½¼¾⅛⅜⅝⅞]|[ -]\d/\d{1,2})?"
_ARC = re.compile(
    rf"(?:(?<!\w)(?P<lead>[NSEW])\s?)?(?P<degrees>\d{{1,3}})\s?°\s?(?P<minutes>\d{{1,2}}(?:\.\d{{1,6}})?)\s?{_FEET}"
    rf"(?:\s?(?P<seconds>\d{{1,2}}(?:\.\d{{1,6}})?)\s?{_INCHES})?(?:\s?(?P<way>[NSEW])(?!\w))?"
)
WAYS = {"N": "north", "S": "south", "E": "east", "W": "west"}
_FEET_AND_INCHES = re.compile(
    rf"(?<![\w.,'’])(?P<feet>\d{{1,4}})\s?{_FEET}(?:\s?-\s?| ?)(?P<inches>{_AMOUNT})\s?{_INCHES}"
    r"|(?<![\w.,'’])(?P<tall>\d)['’′](?P<more>1[01]|\d)(?![\w'’′\"”″]|[.-]\d)"
)
_ONE_PRIME = re.compile(
    rf"(?<![\w.,'’])(?P<amount>{_AMOUNT})(?P<mark>{_INCHES}|{_FEET})(?!\w|-?\d)"
)
# "x′", "f''(x)"
_DERIVATIVE = re.compile(r"(?<=[A-Za-z])[′″](?![\w′″])|(?<![\w'][A-Za-z])(?<=[A-Za-z])''?(?=\()")
_DERIVATIVES = {"′": " prime ", "'": " prime ", "″": " double prime ", "''": " double prime "}
_OPENS = re.compile(r"(?<![\w'])'(?=[A-Za-z])(?!(?:n|tis|twas|em|cause|til)\b)")
_CLOSES = re.compile(r"(?<=\S)'(?!\w)")


def write_primes(text: str) -> str:
    """Spells out lengths and angles with primes: 5'7" -> "5 foot 7", 27″ -> "27 inches"."""
    text = _DERIVATIVE.sub(lambda found: _DERIVATIVES[found[0]], text)
    if not re.search(rf"\d\s?(?:½|¼|¾)?(?:{_INCHES}|{_FEET})", text):
        return text
    text = _ARC.sub(_arc, text)
    text = _FEET_AND_INCHES.sub(_feet_and_inches, text)
    return _one_prime(text)


def _counted(amount: str, noun: str, nouns: str) -> str:
    amount = amount.lstrip("0") or "0"
    return f"{amount} {noun if amount == '1' else nouns}"


def _arc(found: re.Match[str]) -> str:
    said = _counted(found["degrees"], "degree", "degrees")
    said += " " + _counted(found["minutes"], "minute", "minutes")
    if found["seconds"]:
        said += " " + _counted(found["seconds"], "second", "seconds")
    way = found["way"] or found["lead"]
    return said + (f" {WAYS[way]}" if way else "")


def _feet_and_inches(found: re.Match[str]) -> str:
    feet, inches = found["feet"] or found["tall"], found["inches"] or found["more"]
    if inches.isdecimal() and 12 <= int(inches) < 60:  # minutes of time
        return f"{_counted(feet, 'minute', 'minutes')} {_counted(inches, 'second', 'seconds')}"
    return _counted(feet, "foot", "feet") if inches == "0" else f"{feet} foot {inches}"


class _Quotes:
    """Tracks the quotes that are open at the current position."""

    def __init__(self) -> None:
        self._open = dict.fromkeys("\"”'’", 0)

    def read(self, text: str) -> None:
        if text.count('"') % 2:
            self._open['"'] = 1 - self._open['"']
        for mark, opening, closing in (
            ("”", text.count("“"), text.count("”")),
            ("'", len(_OPENS.findall(text)), len(_CLOSES.findall(text))),
            ("’", text.count("‘"), text.count("’")),
        ):
            self._open[mark] = max(0, self._open[mark] + opening - closing)

    def is_open(self, mark: str) -> bool:
        return bool(self._open.get(mark))


def _one_prime(text: str) -> str:
    quotes, pieces, position = _Quotes(), [], 0
    for found in _ONE_PRIME.finditer(text):
        between = text[position : found.start()]
        quotes.read(between)
        pieces.append(between)
        position = found.end()
        if quotes.is_open(found["mark"]):
            quotes.read(found[0])
            pieces.append(found[0])
            continue
        nouns = ("foot", "feet") if re.fullmatch(_FEET, found["mark"]) else ("inch", "inches")
        one = found["amount"] == "1" or describes_noun(found)
        pieces.append(f"{found['amount']} {nouns[0] if one else nouns[1]}")
    return "".join([*pieces, text[position:]])
