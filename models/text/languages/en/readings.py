"""Readings of signs, numbers, dates, money and abbreviations: one pattern and reader each.

`READINGS` is tried in order at every position of a cleaned text. A reader gets the match and
returns the spoken words, or None if the pattern matched something else.
"""

import re

from models.text.languages.en import numbers
from models.text.languages.en.abbreviations import SHORTENED
from models.text.languages.en.addresses import ADDRESSES
from models.text.languages.en.amounts import MAGNITUDE, MAGNITUDES, NUMBER, counted
from models.text.languages.en.context import Reader, after, before
from models.text.languages.en.dates import DATES, HALF_OF_DAY, YEAR
from models.text.languages.en.exponents import EXPONENTS
from models.text.languages.en.initials import acronym, spell
from models.text.languages.en.money import CURRENCIES, MONEY
from models.text.languages.en.money import SIGNS as MONEY_SIGNS
from models.text.languages.en.numeric_dates import NUMERIC_DATES
from models.text.languages.en.primes import WAYS
from models.text.languages.en.signs import NAMED_SIGNS
from models.text.languages.en.telephones import TELEPHONES
from models.text.languages.en.units import UNIT, UNITS

_AMOUNT = (
    rf"[{MONEY_SIGNS}]?{NUMBER}(?::[0-5]\d){{0,2}}"
    rf"(?:\s?(?:[%{MONEY_SIGNS}]|°[CF]?|{HALF_OF_DAY}|{UNIT}|{MAGNITUDE})(?!\w))?"
)
_SCALES = {"C": "Celsius", "F": "Fahrenheit", "K": "Kelvin"}
# Counted in thousands or more: "1.5M users", but "a 10K run".
_MANY = (
    r"(?=\+?\s(?:[a-z]+\s)?(?:users|people|followers|views|subscribers|downloads|copies|words|tokens"
    r"|employees|players|customers|likes|param(?:eter)?s|rows|records|votes|visitors|members)\b)"
)
_DENOMINATORS = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 32, 64, 100))
# "a 45° angle" is "forty five degree".
_TURNED = re.compile(r"\s(?:angle|turn|bend|corner|view|video|camera|rotation|slope|arc)\b")


def _span(match: re.Match[str]) -> str | None:
    """Reads a range of amounts: "$5-10", "9am-5pm", "50%-60%"; `_between` reads bare numbers."""
    first, last = match["first"], match["last"]
    if re.fullmatch(NUMBER, first) and re.fullmatch(NUMBER, last):
        return None
    if first[0] in CURRENCIES and last[0] not in CURRENCIES:
        last = first[0] + last
        first = first[1:] if first[1:].isdecimal() else first
    ends = [_read(first), _read(last)]
    return " to ".join(end for end in ends if end) if all(ends) else None


def _read(amount: str) -> str | None:
    """The words of an amount, by the reading that matches all of it."""
    for pattern, reader in READINGS:
        match = pattern.fullmatch(amount)
        if match and (words := reader(match)):
            return words
    return None


def _degrees(match: re.Match[str]) -> str:
    sign, scale = "minus " if match["sign"] else "", match["scale"]
    said = counted(match["amount"], "degree")
    if _TURNED.match(after(match)):
        said = said.removesuffix("s")
    return f"{sign}{said} {(_SCALES | WAYS)[scale]}" if scale else f"{sign}{said}"


def _two_numbers(top: str, bottom: str) -> str:
    """Reads slashes that are not fractions: "24/7", "10/10", "50/50"."""
    more = int(top) > int(bottom) and int(top) > 31  # not a date
    if int(bottom) == 0 or int(bottom) > 100 or more:
        return f"{numbers.cardinal(top)} over {numbers.cardinal(bottom)}"
    joined = " out of " if top == bottom and top not in ("20", "50") else " "
    return joined.join(map(numbers.cardinal, (top, bottom)))


def _fraction(match: re.Match[str]) -> str:
    top, bottom = match["top"], match["bottom"]
    if int(top) >= int(bottom) or int(bottom) not in _DENOMINATORS:
        spoken = _two_numbers(top, bottom)
        return f"{numbers.cardinal(match['whole'])} {spoken}" if match["whole"] else spoken
    part = {"2": "half", "4": "quarter"}.get(bottom) or numbers.ordinal(bottom)
    if top != "1":
        part = "halves" if part == "half" else numbers.plural(part)
    spoken = f"{numbers.cardinal(top)} {part}"
    if not match["whole"]:
        return spoken
    spoken = f"a {part}" if top == "1" else spoken
    return f"{numbers.cardinal(match['whole'])} and {spoken}"


def _slashed(match: re.Match[str]) -> str:
    """Reads slashes that are not dates: "13/13/2024", "5/6/7"."""
    return " slash ".join(map(numbers.cardinal, match[0].split("/")))


def _decade(match: re.Match[str]) -> str | None:
    number = match["decade"]
    if not number:
        return numbers.plural(numbers.cardinal(match["round"]).removeprefix("one "))
    if len(number) == 2:
        return numbers.plural(numbers.cardinal(number)) if number != "00" else None
    return numbers.plural(numbers.year(number))


def _between(match: re.Match[str]) -> str:
    """Reads a range, score or ratio: "10-20", "3:1"; two years are read as years."""
    ends = match["first"], match["last"]
    if ends in (("50", "50"), ("20", "20")) and match["join"] == "-":  # "a 50-50 chance"
        return " ".join(map(numbers.decimal, ends))
    years = all(re.fullmatch(YEAR, end) for end in ends) and match["join"] != ":"
    return " to ".join(map(numbers.year if years else numbers.decimal, ends))


def _version(match: re.Match[str]) -> str:
    number, stage, count = match["number"], match["stage"], match["count"]
    said = " point ".join(map(numbers.cardinal, number.strip("vV").split(".")))
    if stage:
        said += f" {stage if len(stage) > 3 else spell(stage.upper())}"
        said += f" {numbers.cardinal(count)}" if count else ""
    return f"version {said}" if number[0] in "vV" else said


def _letters_and_digits(match: re.Match[str]) -> str:
    """Reads "B2B", "mp3", "covid19": short or capitalised runs of letters are spelt."""
    if thousands := re.fullmatch(r"(\d{3})[kK]", match[0]):
        return f"{numbers.cardinal(thousands[1])} thousand"
    spoken = []
    for run in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+", match[0]):
        if run[0].isdecimal():
            spoken.append(numbers.cardinal(run) if len(run) <= 2 else numbers.digits(run))
        elif run.isupper() or len(run) <= 2:
            spoken.append(acronym(run) if len(run) > 3 and run.isupper() else spell(run) or run)
        else:
            spoken.append(run)
    return " ".join(spoken)


def _number(match: re.Match[str]) -> str:
    sign, amount = match["sign"], match["amount"]
    if not sign and re.fullmatch(YEAR, amount) and _YEAR_BEFORE.search(before(match)):
        return numbers.year(amount)
    return ("minus " if sign else "") + numbers.decimal(amount)


_YEAR_BEFORE = re.compile(
    r"(?:\b(?:in|since|until|till|by|before|after|year|during|circa|early|late|mid|from|of|ca?\.|est\.)\s|©)"
    r"\s*$",
    re.I,
)


_SIDE = re.compile(
    r"\s*\d[\d.]*(?:\s?[x×]\s?\d[\d.]*)?[\s-]?(?:ft|feet|foot|in|inch|inches|cm|mm|m|km|yd|yards?"
    r"|met(?:er|re)s?|px|pixels)\b"
)


def _between_numbers(match: re.Match[str]) -> str:
    if match[0].strip() == "x" and _SIDE.match(after(match)):
        return "by"
    return {"*": "times", "·": "times", "x": "times", "-": "minus", "/": "divided by"}[
        match[0].strip()
    ]


READINGS: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        *ADDRESSES,
        (rf"(?<![\w./-])(?P<first>{_AMOUNT})[-–~](?P<last>{_AMOUNT})(?![\w-]|/\d)", _span),
        *NUMERIC_DATES,
        *DATES,
        *MONEY,
        *TELEPHONES,
        (
            rf"(?<![\w.])(?P<sign>-)?(?P<amount>{NUMBER})\s?°(?:\s?(?P<scale>[CFKNSEW])(?!\w))?",
            _degrees,
        ),
        (
            r"°\s?(?P<scale>[CFK])(?!\w)",
            lambda match: f"degrees {_SCALES[match['scale']]}",
        ),
        (
            rf"(?<![\w.])(?P<sign>-)?(?P<amount>{NUMBER})\s?%",
            lambda match: f"{_number(match)} percent",
        ),
        (
            r"(?<![\w.])'?(?P<decade>[12]\d\d0|[2-9]0)'?s(?!\w)"
            r"|(?<![\w.])(?P<round>10{1,3}|10{1,2},000|1(?:,000){1,2})s(?=\s+of\b)",
            _decade,
        ),
        *UNITS,
        (
            r"(?<![\w.])(?P<mark>\d\.\d)/(?P<of>5|10)(?![\w/.])",
            lambda match: (
                f"{numbers.decimal(match['mark'])} out of {numbers.cardinal(match['of'])}"
            ),
        ),
        (
            r"(?<![\w./])(?:(?P<whole>\d+)\s+)?(?P<top>\d{1,3})/(?P<bottom>\d{1,4})(?![\w/])",
            _fraction,
        ),
        (r"(?<![\w./])\d{1,4}(?:/\d{1,4}){2,}(?![\w/])", _slashed),
        (
            r"(?<![\w.])\d[\d,]*(?:st|nd|rd|th|ST|ND|RD|TH)(?!\w)",
            lambda match: numbers.ordinal(match[0][:-2]),
        ),
        (
            rf"(?<![\w.-])(?P<first>{NUMBER})\s?(?P<join>[-–:~])\s?(?P<last>{NUMBER})(?![\w-])",
            _between,
        ),
        (
            r"(?<![\w.])(?P<number>[vV]\d+(?:\.\d+)+|\d+(?:\.\d+){2,})"
            r"(?:-?(?P<stage>alpha|beta|rc|dev|pre)\.?(?P<count>\d{0,3}))?(?!\w)",
            _version,
        ),
        (rf"#\s?(?P<amount>{NUMBER})", lambda match: f"number {numbers.decimal(match['amount'])}"),
        *EXPONENTS,
        (r"(?<=[a-z])\s[x×]\s(?=\d)", lambda match: "by"),
        (r"(?<=\d)\s*[*/·](?=\s*[\d.-])|(?<=\d)\s+[x-]\s+(?=\d)|(?<=\d)x(?=\d)", _between_numbers),
        (
            rf"(?<![\w.])(?P<amount>{NUMBER})\s?(?P<magnitude>Mio|Mrd|bn|tn|[KMB]{_MANY})(?!\w)",
            lambda match: (
                f"{numbers.decimal(match['amount'])} {MAGNITUDES[match['magnitude'].lower()]}"
            ),
        ),
        (
            r"(?<![\w.,])(?P<first>\d{1,2})(?P<last>[2468]0)(?P<letter>[pi])(?!\w)",  # of screens
            lambda match: (
                f"{numbers.cardinal(match['first'])} {numbers.cardinal(match['last'])} "
                f"{spell(match['letter'].upper())}"
            ),
        ),
        (
            r"(?<![\w.,])911(?=\s(?:calls?|operators?|dispatch))",
            lambda match: numbers.digits("911"),
        ),
        (r"(?<!\w)(?:[A-Za-z]+\d+\w*|\d+[A-Za-z]\w*)", _letters_and_digits),
        (rf"(?<!\w)(?<!\d\.)(?P<sign>-)?(?P<amount>{NUMBER})", _number),
        *SHORTENED,
        *NAMED_SIGNS,
    )
)
