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
HALF_OF_DAY = r"(?:[ap]\.?m\b\.?|[AP]\.?M\b\.?)"
_LAST_DAY = r"(?:[-–](?P<last>\d{1,2})(?:st|nd|rd|th)?)?"


def _month(name: str) -> str:
    return MONTHS[name[:3].lower()]


def _year(number: str) -> str:
    return numbers.year(number) if len(number) == 4 else numbers.cardinal(number)


def _days(*days: str | None) -> list[str] | None:
    """Which day or days of a month, or None if there is none of that number."""
    there = [day for day in days if day]
    if not all(1 <= int(day) <= 31 for day in there):
        return None
    return [numbers.ordinal(day.lstrip("0")) for day in there]


def _date(month: str, day: str, year: str | None, last: str | None = None) -> str | None:
    days = _days(day, last)
    if days is None:
        return None
    return f"{month} {' to '.join(days)}" + (f" {_year(year)}" if year else "")


def _iso_date(match: re.Match[str]) -> str | None:
    year, month, day = match["date"].split("-")
    names = list(MONTHS.values())
    date = _date(names[int(month) - 1], day, year) if 1 <= int(month) <= 12 else None
    if not date or not match["hour"]:
        return date
    time = _time(match["hour"], match["minute"], match["second"], None)
    if time is None:
        return None
    return f"{date} at {time}" + (" you tee see" if match["utc"] else "")


def _us_date(match: re.Match[str]) -> str | None:
    month, day, year = match[0].split("/")
    if not 1 <= int(month) <= 12 or not 1 <= int(day) <= 31:
        return None
    return _date(
        list(MONTHS.values())[int(month) - 1], day, year if len(year) == 4 else "20" + year
    )


def _month_day(match: re.Match[str]) -> str | None:
    return _date(_month(match["month"]), match["day"], match["year"], match["last"])


def _day_month(match: re.Match[str]) -> str | None:
    days = _days(match["day"], match["last"])
    if days is None:
        return None
    article = "" if re.search(r"\bthe\s+$", before(match), re.I) else "the "
    year = f" {_year(match['year'])}" if match["year"] else ""
    return f"{article}{' to the '.join(days)} of {_month(match['month'])}{year}"


def _month_year(match: re.Match[str]) -> str:
    return f"{_month(match['month'])} {numbers.year(match['year'])}"


def _clock(match: re.Match[str]) -> str | None:
    return _time(match["hour"], match["minute"], match["second"], match["half"])


def _time(hour: str, minute: str, second: str | None, half: str | None) -> str | None:
    if int(hour) > 24 or (half and int(hour) > 12):
        return None
    spoken = numbers.cardinal(str(int(hour)))
    if minute and int(minute):
        spoken += f" oh {numbers.cardinal(minute[1])}" if minute[0] == "0" else ""
        spoken += "" if minute[0] == "0" else f" {numbers.cardinal(minute)}"
    elif minute and not half:
        spoken += " o'clock" if 1 <= int(hour) <= 12 else " hundred"
    if second and int(second):
        unit = "second" if int(second) == 1 else "seconds"
        spoken += f" and {numbers.cardinal(str(int(second)))} {unit}"
    if half:
        spoken += " ay em" if half[0] in "aA" else " pee em"
    return spoken


DATES: tuple[tuple[str, Reader], ...] = (
    (
        r"(?<![\d.-])(?P<date>[12]\d{3}-\d{2}-\d{2})(?![\d-])"
        r"(?:T(?P<hour>\d{2}):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:\.\d+)?)?(?P<utc>Z)?"
        r"(?!\w))?",
        _iso_date,
    ),
    (r"(?<![\d/])\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})(?![\d/])", _us_date),
    (
        rf"(?<!\w)(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?{_LAST_DAY}"
        rf"(?![\w:%]|\.\d)"
        rf"(?:,?\s+(?P<year>{YEAR})(?![\w,]))?",
        _month_day,
    ),
    (
        rf"(?<![\w.,])(?P<day>\d{{1,2}})(?:st|nd|rd|th)?{_LAST_DAY}\s+(?:of\s+)?"
        rf"(?P<month>{_MONTH})(?!\w)"
        rf"(?:,?\s+(?P<year>{YEAR})(?![\w,]))?",
        _day_month,
    ),
    (rf"(?<!\w)(?P<month>{_MONTH})\s+(?P<year>{YEAR})(?![\w,])", _month_year),
    (
        r"(?<![\w:.])(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?!:?\d))"
        rf"(?:\s*(?P<half>{HALF_OF_DAY}))?",
        _clock,
    ),
    (
        rf"(?<![\w:.])(?P<hour>\d{{1,2}})(?P<minute>)(?P<second>)\s*(?P<half>{HALF_OF_DAY})",
        _clock,
    ),
)
"""Patterns and their readers, in the order in which they are tried."""
