"""Rewrites numbers in English digit grouping: "1.234,56" -> "1,234.56".

A comma before one or two digits is a decimal comma beside a unit or currency, and in doubt, but not
in an apparent list ("rows 3,4"). A single dot before three digits is a decimal point ("1.234 km"),
except in whole euros ("1.234 €") and counted thousands ("10.000 people").
"""

import re
import unicodedata

from models.text.languages.en.units import UNIT

_BLANK = "\u00a0\u2007\u2009\u202f"
_AFTER = r"(?!\w|[.,]\d)"
_BEFORE = r"(?<![\w.,])"
_EUROS = re.compile(
    r"\s?€|\s(?:euros?|EUR|pesos?|reais|lira|kroner|kronor|rupiah|dong|rubles?)\b", re.I
)
_THINGS = re.compile(r"\s(?:people|men|women|children|of\b|[a-z]{3,}s\b)")
_BESIDE = re.compile(
    r"\s?(?:[%‰°€£$¥₹₽₺]|(?:percent|per cent|degrees?|times|million|billion|euros?|dollars?|pounds?"
    r"|met(?:er|re)s?|kilomet(?:er|re)s?|lit(?:er|re)s?|hours?|years?|points?|kilos?|EUR|USD|CHF)\b"
    rf"|{UNIT}(?!\w))"
)
_LISTED = re.compile(
    r"(?:\b(?:pages?|rows?|lines?|verses?|chapters?|items?|steps?|rooms?|numbers?|questions?"
    r"|players?|lanes?|levels?|columns?|seats?|sections?|figures?|tables?|nos?\.?)\s+|[(\[])\Z",
    re.I,
)
_TELEPHONE = re.compile(
    r"(?:\b(?:call|dial|phone|tel|telephone|mobile|cell|fax|ring|text|whatsapp|number)\b[^\d]{0,20}"
    r"|[+\d)][ .-]?)\Z",
    re.I,
)
_NUMBERED = re.compile(
    r"\b(?:pages?|chapter|rooms?|route|flight|level|size|number|bus|line|gate|channel|version"
    r"|windows|iphone|highway|interstate|area|unit|apartment|suite|grade|jan|feb|mar|apr|may|jun"
    r"|jul|aug|sep|sept|oct|nov|dec|january|february|march|april|june|july|august|september"
    r"|october|november|december)\.?\s\Z",
    re.I,
)


def _english(whole: str, decimals: str = "") -> str:
    digits = re.sub(r"\D", "", whole)
    head = len(digits) % 3 or 3
    groups = [digits[:head], *(digits[at : at + 3] for at in range(head, len(digits), 3))]
    return ",".join(group for group in groups if group) + (f".{decimals}" if decimals else "")


def _before(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - 40) : match.start()]


def _grouped(match: re.Match[str]) -> str:
    return _english(match["whole"], match["decimals"] or "")


def _by_dots(match: re.Match[str]) -> str:
    groups = match["whole"].split(".")
    is_ip = len(groups) == 4 and all(int(group) <= 255 for group in groups)
    return match[0] if is_ip and not match["decimals"] else _grouped(match)


def _one_dot(match: re.Match[str]) -> str:
    """Rewrites "1.234 €" and "10.000 people"; other single dots are decimal points."""
    euros = _before(match).rstrip().endswith("€") or _EUROS.match(match.string, match.end())
    things = match["whole"].endswith(".000") and _THINGS.match(match.string, match.end())
    return _english(match["whole"]) if euros or things else match[0]


def _by_blanks(match: re.Match[str]) -> str:
    one_group = len(match["whole"]) <= 7
    if _TELEPHONE.search(_before(match)) or (one_group and _NUMBERED.search(_before(match))):
        return match[0]
    return _grouped(match)


def _decimal_comma(match: re.Match[str]) -> str:
    whole, decimals = match["whole"], match["decimals"]
    before, after = _before(match), match.string[match.end() : match.end() + 20]
    if not (re.search(r"[€£$¥₹₽₺]\s?\Z", before) or _BESIDE.match(after)):
        is_list = _LISTED.search(before) or re.match(r"\s(?:and|or|&)\s\d", after)
        is_year = re.fullmatch(r"(?:19|20)\d\d", whole)
        counts_on = whole != "0" and int(decimals) == int(whole) + 1
        if is_list or is_year or counts_on or (len(decimals) > 2 and len(whole) > 2):
            return match[0]
    return f"{_english(whole)}.{decimals}"


_FORMS = (
    # 1 234 567,89 and 1'234'567.89 with non-breaking spaces or apostrophes
    (
        rf"{_BEFORE}(?P<whole>[1-9]\d{{0,2}}(?:(?:[{_BLANK}]\d{{3}})+|(?:['’]\d{{3}})+|(?:_\d{{3}})+))"
        rf"(?:[.,](?P<decimals>\d{{1,9}}))?{_AFTER}",
        _grouped,
    ),
    # 1 234 567 with ordinary spaces
    (
        rf"{_BEFORE}(?<!\d[ -])(?<!/)(?P<whole>[1-9]\d{{0,2}}(?: \d{{3}})+)"
        r"(?:,(?P<decimals>\d\d?))?(?![\w/-]|[.,]\d| \d)",
        _by_blanks,
    ),
    # 1.234.567 and 1.234.567,89
    (
        rf"{_BEFORE}(?P<whole>[1-9]\d{{0,2}}(?:\.\d{{3}}){{2,}})(?:,(?P<decimals>\d{{1,9}}))?{_AFTER}",
        _by_dots,
    ),
    (rf"{_BEFORE}(?P<whole>[1-9]\d{{0,2}}\.\d{{3}}),(?P<decimals>\d{{1,9}}){_AFTER}", _grouped),
    (rf"{_BEFORE}(?P<whole>[1-9]\d{{0,2}}\.\d{{3}}){_AFTER}", _one_dot),
    # Indian 1,00,000 and Chinese and Japanese 1,0000
    (
        rf"{_BEFORE}(?P<whole>[1-9]\d?(?:,\d{{2}})+,\d{{3}}|[1-9]\d{{0,3}}(?:,\d{{4}}){{2,}}"
        rf"|[1-9]\d{{0,3}},\d000)(?:\.(?P<decimals>\d{{1,9}}))?(?:/-)?{_AFTER}",
        _grouped,
    ),
    (rf"{_BEFORE}(?P<whole>0),(?P<decimals>\d{{3}}){_AFTER}", _decimal_comma),
    (
        rf"{_BEFORE}(?P<whole>\d{{1,12}}),(?P<decimals>\d\d?|\d{{4,12}})(?!(?!x\b)\w|[.,]\d)",
        _decimal_comma,
    ),
)
_PATTERNS = tuple((re.compile(pattern), rewrite) for pattern, rewrite in _FORMS)
# The dash of "€ 25,-" and "25,– €" stands for zero cents.
_NO_CENTS = re.compile(r"(?P<whole>\b\d{1,3}(?:\.\d{3})+|\d)[.,][-–—]{1,2}(?!\w)")
_FULL_WIDTH = re.compile("[０-９][０-９，．]*")


def regroup(text: str) -> str:
    """Rewrites foreign digit grouping in the English way.

    >>> regroup("1,00,000 rupees, 22,1 °C, 1.234.567 euro")
    '100,000 rupees, 22.1 °C, 1,234,567 euro'
    """
    text = _FULL_WIDTH.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    if not re.search(r"\d[^\w:;]\d|\d_\d|\d[.,][-–—]", text):
        return text
    text = _NO_CENTS.sub(lambda found: _english(found["whole"]), text)
    for pattern, rewrite in _PATTERNS:
        text = pattern.sub(rewrite, text)
    return text
