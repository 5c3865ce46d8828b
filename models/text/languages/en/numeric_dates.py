"""Readings of numeric dates.

The year and any part above 12 settle most orders: "2024/04/03", "31/12/2024", "12-31-99". If both
other parts could be the month, the month comes first ("3/4/2024" is March fourth), as in the United
States, but with full stops the day does ("3.4.2024" is April third), as in Germany; Americans do
not use that form. Two-digit years are 1969 to 2068. Without a year, "12/25" is a date only after
words such as "on" or "by"; elsewhere it is two numbers, and "3/4" is a fraction.
"""

import re

from models.text.languages.en import numbers
from models.text.languages.en.context import Reader, after, before
from models.text.languages.en.dates import YEAR, ZONE, date, month, time_of_day, zone
from models.text.languages.en.letters import LETTER_NAMES, MONTHS

_NAMES = list(MONTHS.values())
_MONTH_NAME = (
    r"(?P<name>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
    r"|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)[a-zA-Z]{0,6}\.?"
)
_BEFORE, _AFTER = r"(?<![\w.,/$€£-])", r"(?!\w|\.\d)"
_TIME = (
    r"(?:T(?P<hour>[01]\d|2[0-4]):?(?P<minute>[0-5]\d)"
    rf"(?::?(?P<second>[0-5]\d|60)(?:[.,]\d{{1,9}})?)?\s?(?P<zone>{ZONE})?)?"
)
_RECENT_YEAR = r"(?P<year>1[5-9]\d\d|20\d\d)"
_SEASON = re.compile(r"\s+(?:season|school|academic|fiscal|campaign|term|winter|financial)", re.I)
_VERSION = re.compile(
    r"\b(?:version|release|build|v|ios|macos|android|python|section|chapter)\s\Z", re.I
)
_ON = re.compile(r"\b(?:on|by|until|till|since|before|after|from|due|dated|to|and)\s\Z", re.I)


_ON_DAY = re.compile(r"\bon\s\Z", re.I)
_NO_NOUN = re.compile(r"\s*(?:[,.;!?)]|\Z|\s(?:at|in|I|we|he|she|it|they|the|and|from|for|to)\b)")
_PARTS = (("1", "2"), ("1", "3"), ("2", "3"), ("1", "4"), ("3", "4"), ("9", "11"))


def _named(month_number: str, day: str, year: str | None) -> str | None:
    if not 1 <= int(month_number) <= 12:
        return None
    return date(_NAMES[int(month_number) - 1], day, year and _full(year))


def _full(year: str) -> str:
    if len(year) == 4:
        return year
    return f"{'19' if int(year) >= 69 else '20'}{year}"


def _year_first(match: re.Match[str]) -> str | None:
    month_number, day, year = match["first_part"], match["second_part"], match["year"]
    if "." in match[0][:5] and _VERSION.search(before(match)):
        return None
    said = _named(month_number, day, year) or _named(day, month_number, year)
    if said is None or not match["hour"]:
        return said
    time = time_of_day(match["hour"], match["minute"], match["second"], None)
    return f"{said} at {time}{zone(match['zone'])}" if time else None


def _year_last(match: re.Match[str]) -> str | None:
    first, second, year = match["first_part"], match["second_part"], match["year"]
    sign = match["sign"]
    if sign == "." and _VERSION.search(before(match)):
        return None
    if len(year) == 2:
        if sign != "/" and not len(first) == len(second) == 2:
            return None  # "1.2.24" is a version, "1-2-24" a code
        if int(first) > 31:
            return _named(second, year, first)  # "99-12-31"
    day_first = int(first) > 12 or (sign == "." and int(second) <= 12)
    return _named(second, first, year) if day_first else _named(first, second, year)


def _years(match: re.Match[str]) -> str | None:
    """Reads "2019/20" and "the 2011-12 season"; elsewhere "2011-12" is a month."""
    year, following = match["year"], match["next"]
    span = len(following) == 2 and int(following) > max(12, int(year) % 100)  # "1914-18"
    if not span and int(following) % 100 != (int(year) + 1) % 100:
        return None
    if 1 <= int(following) <= 12 and len(following) == 2 and not _SEASON.match(after(match)):
        return None
    said = numbers.year(following) if len(following) == 4 else numbers.cardinal(following)
    return f"{numbers.year(year)} to {said}"


def _days_of_germany(match: re.Match[str]) -> str | None:
    """Reads "1.3.–5.3.2024" and "01.–05.03.2024"."""
    last_month = match["second_month"]
    first = _named(match["first_month"] or last_month, match["first_part"], None)
    last = _named(last_month, match["second_part"], match["year"])
    return f"{first} to {last}" if first and last else None


def _fiscal(match: re.Match[str]) -> str:
    said = f"eff why {numbers.year(match['year'])}"
    return said + (f" to {numbers.cardinal(match['next'])}" if match["next"] else "")


def _quarter(match: re.Match[str]) -> str:
    """Reads "Q3/2021" and "H1 2024"."""
    part = f"{LETTER_NAMES[match['part'].lower()]} {numbers.cardinal(match['which'])}"
    return f"{part} {numbers.year(match['year'])}"


def _year_and_month(match: re.Match[str]) -> str:
    return f"{_NAMES[int(match['month']) - 1]} {numbers.year(match['year'])}"


def _without_year(match: re.Match[str]) -> str | None:
    """Reads "by 12/25", "from 01/02"; and "by 31.01.", day first."""
    first, second = match["first_part"], match["second_part"]
    is_date = 12 < max(int(first), int(second)) <= 31 or "0" in (first[0], second[0])
    if not is_date and _ON_DAY.search(before(match)) and _NO_NOUN.match(after(match)):
        is_date = int(first) <= 12 and (first, second) not in _PARTS
    if not _ON.search(before(match)) or not is_date:
        return None
    if match[0][-1] == ".":
        return _named(second, first, None)
    return _named(second, first, None) if int(first) > 12 else _named(first, second, None)


def _month_in_letters(match: re.Match[str]) -> str | None:
    day, year = match.groupdict().get("day"), match["year"]
    if day is None:
        return f"{month(match['name'])} {numbers.year(year)}"
    return date(month(match["name"]), day, _full(year))


NUMERIC_DATES: tuple[tuple[str, Reader], ...] = (
    (
        rf"{_BEFORE}(?P<first_part>\d{{1,2}})\.(?:(?P<first_month>\d{{1,2}})\.)?\s?[-–]\s?"
        rf"(?P<second_part>\d{{1,2}})\.(?P<second_month>\d{{1,2}})\.(?P<year>\d{{4}}){_AFTER}",
        _days_of_germany,
    ),
    (
        rf"(?<![\w.,$€£-])(?P<year>{YEAR})(?P<sign>[-/.])(?P<first_part>\d{{1,2}})(?P=sign)"
        rf"(?P<second_part>\d{{1,2}}){_TIME}{_AFTER}(?!-\d|/\d{{1,3}}(?!\d))",
        _year_first,
    ),
    (
        rf"{_BEFORE}(?P<year>(?:19|20)\d\d)(?P<first_part>0[1-9]|1[0-2])"
        rf"(?P<second_part>0[1-9]|[12]\d|3[01]){_TIME}{_AFTER}(?![-,/]\d)",
        _year_first,
    ),
    (
        rf"(?:{_BEFORE}|(?<=[/.]\d{{4}}-))"
        r"(?P<first_part>\d{1,2})(?P<sign>[-/.])(?P<second_part>\d{1,2})(?P=sign)"
        rf"(?P<year>\d{{4}}|\d\d){_AFTER}(?!/\d|-\d{{1,4}}(?![/\d]))",
        _year_last,
    ),
    (rf"{_BEFORE}{_RECENT_YEAR}(?:/|-|–)(?P<next>\d\d|\d{{4}}){_AFTER}(?![-/:]\d)", _years),
    (
        rf"{_BEFORE}(?P<day>\d{{1,2}})\. (?P<month>\d{{1,2}})\. ?(?P<year>{YEAR}){_AFTER}",
        lambda match: _named(match["month"], match["day"], match["year"]),  # "3. 5. 2020"
    ),
    (rf"(?<!\w)FY ?{_RECENT_YEAR}(?:[/–-](?P<next>\d\d))?{_AFTER}", _fiscal),
    (rf"(?<!\w)(?P<part>[QH])(?P<which>[1-4])[ /]{_RECENT_YEAR}{_AFTER}(?![-/]\d)", _quarter),
    (rf"{_BEFORE}{_RECENT_YEAR}[-/](?P<month>0?[1-9]|1[0-2]){_AFTER}(?![-/:]\d)", _year_and_month),
    (
        rf"{_BEFORE}(?P<month>0[1-9][-/.]|(?:[1-9]|1[0-2])[-/]){_RECENT_YEAR}{_AFTER}(?![-/]\d)",
        lambda match: f"{_NAMES[int(match['month'][:-1]) - 1]} {numbers.year(match['year'])}",
    ),
    (
        rf"{_BEFORE}(?P<first_part>\d{{1,2}})/(?P<second_part>\d{{1,2}}){_AFTER}(?![-/]\d|\s?%)",
        _without_year,
    ),
    (
        rf"{_BEFORE}(?P<first_part>0[1-9]|[12]\d|3[01])\.(?P<second_part>0[1-9]|1[0-2])\.(?!\w)",
        _without_year,
    ),
    (
        rf"{_BEFORE}(?P<day>\d{{1,2}})(?P<sign>[-/.]){_MONTH_NAME}(?P=sign)(?P<year>\d{{4}}|\d\d)"
        r"(?!\d)",
        _month_in_letters,
    ),
    (
        rf"(?<!\w){_MONTH_NAME}(?P<sign>[-/])(?P<day>\d{{1,2}})(?P=sign)(?P<year>\d{{4}})(?!\d)",
        _month_in_letters,
    ),
    (
        rf"{_BEFORE}(?P<year>{YEAR})(?P<sign>[-/]){_MONTH_NAME}(?P=sign)(?P<day>\d{{1,2}})(?!\w)",
        _month_in_letters,
    ),
    (rf"(?<!\w){_MONTH_NAME}[-/](?P<year>{YEAR})(?!\w|[-/]\d)", _month_in_letters),
    # between two dates
    (
        r"(?<=\d{4}-\d\d-\d\d)(?:/|–)(?=[12]\d{3}-)|(?<=[/.]\d{4})[-–](?=\d{1,2}[/.]\d)",
        lambda match: "to",
    ),
)
"""Patterns and their readers, in the order in which they are tried."""
