"""How dates and times of day are read aloud."""

import re

from models.text import numbers
from models.text.context import Reader, before
from models.text.letters import MONTHS

_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
)
YEAR = r"[12]\d{3}"


def _month(name: str) -> str:
    return MONTHS[name[:3].lower()]


def _year(number: str) -> str:
    return numbers.year(number) if len(number) == 4 else numbers.cardinal(number)


def _date(month: str, day: str, year: str | None) -> str | None:
    if not 1 <= int(day) <= 31:
        return None
    return f"{month} {numbers.ordinal(day.lstrip('0'))}" + (f" {_year(year)}" if year else "")


def _iso_date(match: re.Match[str]) -> str | None:
    year, month, day = match[0].split("-")
    names = list(MONTHS.values())
    return _date(names[int(month) - 1], day, year) if 1 <= int(month) <= 12 else None


def _us_date(match: re.Match[str]) -> str | None:
    month, day, year = match[0].split("/")
    if not 1 <= int(month) <= 12 or not 1 <= int(day) <= 31:
        return None
    return _date(
        list(MONTHS.values())[int(month) - 1], day, year if len(year) == 4 else "20" + year
    )


def _month_day(match: re.Match[str]) -> str | None:
    return _date(_month(match["month"]), match["day"], match["year"])


def _day_month(match: re.Match[str]) -> str | None:
    if not 1 <= int(match["day"]) <= 31:
        return None
    article = "" if re.search(r"\bthe\s+$", before(match), re.I) else "the "
    year = f" {_year(match['year'])}" if match["year"] else ""
    day = numbers.ordinal(match["day"].lstrip("0"))
    return f"{article}{day} of {_month(match['month'])}{year}"


def _month_year(match: re.Match[str]) -> str:
    return f"{_month(match['month'])} {numbers.year(match['year'])}"


def _clock(match: re.Match[str]) -> str | None:
    hour, minute = int(match["hour"]), match["minute"]
    if hour > 24 or (match["half"] and hour > 12):
        return None
    spoken = numbers.cardinal(str(hour))
    if minute and int(minute):
        spoken += f" oh {numbers.cardinal(minute[1])}" if minute[0] == "0" else ""
        spoken += "" if minute[0] == "0" else f" {numbers.cardinal(minute)}"
    elif minute and not match["half"]:
        spoken += " o'clock" if 1 <= hour <= 12 else " hundred"
    if match["half"]:
        spoken += " ay em" if match["half"][0] in "aA" else " pee em"
    return spoken


DATES: tuple[tuple[str, Reader], ...] = (
    (r"(?<![\d.-])[12]\d{3}-\d{2}-\d{2}(?![\d-])", _iso_date),
    (r"(?<![\d/])\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})(?![\d/])", _us_date),
    (
        rf"(?<!\w)(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?![\w:%]|\.\d)"
        rf"(?:,?\s+(?P<year>{YEAR})(?![\w,]))?",
        _month_day,
    ),
    (
        rf"(?<![\w.,])(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})(?!\w)"
        rf"(?:,?\s+(?P<year>{YEAR})(?![\w,]))?",
        _day_month,
    ),
    (rf"(?<!\w)(?P<month>{_MONTH})\s+(?P<year>{YEAR})(?![\w,])", _month_year),
    (
        r"(?<![\w:.])(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d)(?!:?\d))"
        r"(?:\s*(?P<half>[ap]\.?m\b\.?|[AP]\.?M\b\.?))?",
        _clock,
    ),
    (
        r"(?<![\w:.])(?P<hour>\d{1,2})(?P<minute>)\s*(?P<half>[ap]\.?m\b\.?|[AP]\.?M\b\.?)",
        _clock,
    ),
)
"""Patterns and their readers, in the order in which they are tried."""
