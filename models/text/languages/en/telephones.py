"""Readings of telephone numbers: digit by digit, in any national grouping."""

import re

from models.text.languages.en import numbers
from models.text.languages.en.context import Reader, before

_GROUP = r"(?:(?: ?[./-] ?| )\(?\d{1,12}+\)?|\(\d{1,6}+\)|(?<=\))\d{1,12}+)"
_EXTENSION = r"(?:,? ?(?:ext(?:ension)?\.?|x) ?(?P<extension>\d{1,6}+))?"
_END = r"(?![\w%]|[.,/-]?\d)"
# After these words any group of digits is a telephone number.
_CALLED = re.compile(
    r"\b(?:call|dial|phone|tel|telephone|mobile|cell|fax|ring|text|whatsapp|hotline|helpline"
    r"|contact|reach|number)\b[^\w(+]{0,3}"
    r"(?:(?:me|us|him|her|them|is|at|on|no|number|now)\b[^\w(+]{0,3}){0,3}\Z",
    re.I,
)
_HOURS = re.compile(r"(?:[01]\d|2[0-4])[0-5]\d[-–](?:[01]\d|2[0-4])[0-5]\d")
_MIN_DIGITS, _MAX_DIGITS = 7, 15


def _read(match: re.Match[str]) -> str:
    extension = match.groupdict().get("extension")
    written = match[0][: match.start("extension") - match.start()] if extension else match[0]
    said = " ".join(map(numbers.digits, re.findall(r"\d+", written)))
    said = ("plus " if written.startswith("+") else "") + said
    return f"{said} extension {numbers.digits(extension)}" if extension else said


def _telephone(match: re.Match[str]) -> str | None:
    """Reads numbers starting with "+", 0 or an area code, if the digit count is plausible."""
    number = match["number"]
    num_digits = sum(map(str.isdecimal, number))
    if not _MIN_DIGITS <= num_digits <= _MAX_DIGITS or _HOURS.fullmatch(number):
        return None
    return _read(match)


def _grouped(match: re.Match[str]) -> str | None:
    """Reads "8-800-100-20-30", but not "5-10-15-20"."""
    return _read(match) if sum(map(str.isdecimal, match[0])) > 8 else None


def _card(match: re.Match[str]) -> str | None:
    is_years = re.fullmatch(r"(?:(?:19|20)\d\d\D?){4}", match[0])
    return None if is_years else _read(match)


def _called(match: re.Match[str]) -> str | None:
    return _read(match) if _CALLED.search(before(match)) else None


TELEPHONES: tuple[tuple[str, Reader], ...] = (
    (
        rf"(?<![\w+])(?P<number>\+ ?\(?\d{{1,15}}+\)?{_GROUP}{{0,8}}+){_EXTENSION}(?!\w)",
        _telephone,
    ),
    (
        rf"(?<![\w.,+/-])(?P<number>(?:\(0\d{{1,6}}+\)|0\d{{1,14}}+){_GROUP}{{1,8}}+){_EXTENSION}"
        r"(?!\w)",
        _telephone,
    ),
    (
        r"(?<![\w.])(?:1[ .-])?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\d-])"
        rf"{_EXTENSION}(?!\w)",
        _read,
    ),
    (r"(?<![\w.-])\d{3}-\d{4}(?![\d-])", _read),
    # Australian 1300 and 1800, Chinese and Indian mobiles
    (rf"(?<![\w.,+/-])1[38]00 \d{{3}} \d{{3}}{_END}", _read),
    (rf"(?<![\w.,+/-])1[3-9]\d([ -])\d{{4}}\1\d{{4}}{_END}", _read),
    (rf"(?<![\w.,+/-])[6-9]\d{{4}}[ -]\d{{5}}{_END}", _read),
    (rf"(?<![\w.,+/-])\d{{2,4}}(?:-\d{{2,5}}){{2,5}}{_END}", _read),
    (rf"(?<![\w.,+/-])\d(?:-\d{{2,4}}){{3,5}}{_END}", _grouped),
    (r"(?<![\w.,+/-])1-[89]\d\d(?=-[A-Z])", _read),
    # "(11) 98765-4321", "254 20 2726300"
    (rf"(?<![\w.,+/-])\(\d{{2,4}}\) ?\d{{3,5}}[ -]\d{{4}}{_END}", _read),
    (rf"(?<![\w.,+/-])\d{{2,3}} \d{{2,4}} \d{{6,8}}{_END}", _read),
    # not telephones: payment cards and ISBNs
    (rf"(?<![\w.,+/-])\d{{4}}(?:[ -]\d{{4}}){{3}}{_END}", _card),
    (rf"(?<![\w.,+/-])97[89](?:[ -]\d{{1,7}}){{3}}[ -]\d{_END}", _read),
    (
        rf"(?<![\w.,+/$€£-])(?:\d{{1,4}}{_GROUP}{{1,6}}+|\d{{5,15}}+|911|999|112|988|[34]11){_END}",
        _called,
    ),
)
"""Patterns and their readers, in the order in which they are tried."""
