"""Readings of dates with month names, and of times of day."""

import re

from models.text.languages.en import numbers
from models.text.languages.en.context import Reader, before
from models.text.languages.en.letters import ABBREVIATIONS, MONTHS

MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|january|february|april|june|july|august|september|october|november|december"
    r"|(?:[Jj]an|[Ff]eb|Mar|[Aa]pr|[Jj]un|[Jj]ul|[Aa]ug|[Ss]ept?|[Oo]ct|[Nn]ov|[Dd]ec)\b\.?)"
)
YEAR = r"[12]\d{3}"
HALF_OF_DAY = r"(?:[ap]\.?m\b\.?|[AP]\.?M\b\.?)"
ZONE = r"(?:Z|UTC|GMT|[+-](?:0\d|1[0-4]):?[0-5]\d|[+-](?:0\d|1[0-4]))(?![\w:])"
_SECONDS = r"(?::(?P<second>[0-5]\d|60)(?:[.,]\d{1,9})?)?"
_LAST_DAY = r"(?:(?P<join>[-–/])(?P<last>\d{1,2})(?:st|nd|rd|th)?)?"
# "5. Nov 2020" has a day; "I scored 5. November was cold" does not.
_DAYS = ("Mon", "Tues?", "Wed", "Thu(?:rs?)?", "Fri", "Sat", "Sun")
ENDS_A_DATE = r"(?=,?\s+[12]\d{3}(?!\w)|\s*(?:[.,;:!?)]|$))"


def month(name: str) -> str:
    """The full name of a month given by at least three letters."""
    return MONTHS[name[:3].lower()]


def _year(number: str) -> str:
    return numbers.year(number) if len(number) == 4 else numbers.cardinal(number)


def _days(*days: str | None) -> list[str] | None:
    """The ordinals of one or two days, or None if a month has no such day."""
    there = [day for day in days if day]
    if not all(1 <= int(day) <= 31 for day in there):
        return None
    return [numbers.ordinal(day.lstrip("0")) for day in there]


def date(name: str, day: str, year: str | None, last: str | None = None) -> str | None:
    """Reads a date: "January fifth twenty twenty four"; None if the month has no such day."""
    days = _days(day, last)
    if days is None:
        return None
    return f"{name} {' to '.join(days)}" + (f" {_year(year)}" if year else "")


def _month_day(match: re.Match[str]) -> str | None:
    if match.groupdict().get("join") == "/":
        return None
    return date(month(match["month"]), match["day"], match["year"], match["last"])


def _day_month(match: re.Match[str]) -> str | None:
    days = _days(match["day"], match["last"])
    if days is None:
        return None
    joined = " to the "
    if match.groupdict().get("join") == "/":  # of two days, or the night between them
        if int(match["last"]) != int(match["day"]) + 1:
            return None
        joined = " and the "
    article = "" if re.search(r"\bthe\s+$", before(match), re.I) else "the "
    year = f" {_year(match['year'])}" if match["year"] else ""
    return f"{article}{joined.join(days)} of {month(match['month'])}{year}"


def _lap(match: re.Match[str]) -> str | None:
    """Reads a time in sports: "1:02.5"."""
    said = time_of_day(match["minute"], match["second"], None, None)
    said = said and said.removesuffix(" o'clock").removesuffix(" hundred")
    return said and f"{said} point {numbers.digits(match['part'])}"


def _month_year(match: re.Match[str]) -> str:
    return f"{month(match['month'])} {numbers.year(match['year'])}"


def _clock(match: re.Match[str]) -> str | None:
    parts = match.groupdict()
    said = time_of_day(match["hour"], match["minute"], parts.get("second"), parts.get("half"))
    return said and said + zone(parts.get("zone"))


def time_of_day(hour: str, minute: str, second: str | None, half: str | None) -> str | None:
    """Reads a time: "ten oh five ay em"; None if there is no such hour."""
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


def zone(written: str | None) -> str:
    """Reads the time zone after a time: "Z" -> " you tee see", "+02:00" -> " ... plus two"."""
    if not written:
        return ""
    if written[0] not in "+-":
        return " jee em tee" if written == "GMT" else " you tee see"
    hours, minutes = int(written[1:3]), written[3:].lstrip(":")
    said = f" you tee see {'plus' if written[0] == '+' else 'minus'} {numbers.cardinal(str(hours))}"
    return said + (f" {numbers.cardinal(minutes)}" if minutes.strip("0") else "")


DATES: tuple[tuple[str, Reader], ...] = (
    (
        rf"(?<!\w)(?P<first>{'|'.join(_DAYS)})\s?[-–]\s?(?P<last>{'|'.join(_DAYS)})(?!\w)",
        lambda match: " to ".join(ABBREVIATIONS[day.lower()] for day in match.group(1, 2)),
    ),
    (r"(?<![\w'])'0(?P<year>\d)(?![\w'])", lambda match: f"oh {numbers.cardinal(match['year'])}"),
    (
        rf"(?<!\w)(?P<day>{'|'.join(_DAYS)}),?(?=\s(?:\d{{1,2}}(?:st|nd|rd|th)?\s{MONTH}"
        rf"|{MONTH}\s\d)(?!\w))",
        lambda match: ABBREVIATIONS[match["day"].lower()],
    ),
    (
        rf"(?<!\w)(?P<first>{MONTH})\s?[-–]\s?(?P<last>{MONTH})(?!\w)(?:\s(?P<year>{YEAR})(?!\w|,\d))?",
        lambda match: (
            f"{month(match['first'])} to {month(match['last'])}"
            + (f" {numbers.year(match['year'])}" if match["year"] else "")
        ),
    ),
    (
        rf"(?<![\w.,$€£-])(?P<year>{YEAR}),?\s+(?P<month>{MONTH})\s+(?P<day>\d{{1,2}})(?P<last>)"
        r"(?![\w:%]|[.,]\d)",
        _month_day,
    ),
    (
        rf"(?<!\w)(?P<month>{MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?{_LAST_DAY}"
        rf"(?![\w:%]|\.\d)"
        rf"(?:,?\s+(?P<year>{YEAR})(?!\w|,\d))?",
        _month_day,
    ),
    (
        rf"(?<![\w.,])(?P<day>\d{{1,2}})(?P<last>)\.\s?(?P<month>{MONTH})(?!\w){ENDS_A_DATE}"
        rf"(?:,?\s+(?P<year>{YEAR})(?!\w|,\d))?",
        _month_day,
    ),
    (
        rf"(?<![\w.,])(?P<day>\d{{1,2}})(?:st|nd|rd|th)?{_LAST_DAY}\s+(?:of\s+)?"
        rf"(?P<month>{MONTH})(?!\w)"
        rf"(?:,?\s+(?P<year>{YEAR})(?!\w|,\d))?",
        _day_month,
    ),
    (rf"(?<!\w)(?P<month>{MONTH})\s+(?P<year>{YEAR})(?!\w|,\d)", _month_year),
    (
        rf"(?<![\w:.])(?P<hour>\d{{1,2}}):(?P<minute>[0-5]\d){_SECONDS}(?!:?\d|\.\d)"
        rf"(?:\s*(?P<half>{HALF_OF_DAY})|\s?(?P<zone>{ZONE}))?",
        _clock,
    ),
    (
        r"(?<![\w:.])(?P<minute>\d{1,2}):(?P<second>[0-5]\d)\.(?P<part>\d{1,3})(?![\w:]|\.\d)",
        _lap,
    ),
    (
        r"(?<![\w:.,])(?P<zero>0?)(?P<hour>\d{1,2})00(?=\s(?:hours|hrs)\b)",
        lambda match: f"{'oh ' if match['zero'] else ''}{numbers.cardinal(match['hour'])} hundred",
    ),
    (
        rf"(?<![\w:.])(?P<hour>\d{{1,2}})(?P<minute>)(?P<second>)\s*(?P<half>{HALF_OF_DAY})",
        _clock,
    ),
    (
        rf"(?<![\w:.])(?P<hour>\d{{1,2}})[.h](?P<minute>[0-5]\d)\s*(?P<half>{HALF_OF_DAY})"
        r"|(?<![\w:.])(?P<hour_h>\d{1,2})h(?P<minute_h>[0-5]\d)(?!\w)",
        lambda match: time_of_day(
            match["hour"] or match["hour_h"],
            match["minute"] or match["minute_h"],
            None,
            match["half"],
        ),
    ),
)
"""Patterns and their readers, in the order in which they are tried."""
