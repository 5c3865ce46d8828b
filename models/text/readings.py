"""How signs, numbers, dates, money and abbreviations are read aloud: one pattern, one reader each.

`READINGS` is tried in order at every place of a cleaned text. A reader gets the match and returns
the words to say, or None when this is not what its pattern took it for.
"""

import re
from collections.abc import Callable

from models.text import numbers
from models.text.letters import (
    ABBREVIATIONS,
    LETTER_NAMES,
    MONTHS,
    NEED_A_NUMBER,
    TITLES,
    acronym,
    roman,
    spell,
)

Reader = Callable[[re.Match[str]], str | None]

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
)
_YEAR = r"[12]\d{3}"
_CURRENCIES = {
    **{"$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny")},
    **{"¥": ("yen", ""), "₹": ("rupee", "paisa"), "¢": ("cent", "")},
}
_IRREGULAR_PLURALS = {"penny": "pence", "yen": "yen", "paisa": "paise", "foot": "feet"}
_MAGNITUDES = {
    **{"k": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion"},
    **{"t": "trillion", "tn": "trillion"},
}
_UNITS = {
    **{"km": "kilometer", "m": "meter", "cm": "centimeter", "mm": "millimeter", "mi": "mile"},
    **{"ft": "foot", "yd": "yard", "kg": "kilogram", "g": "gram", "mg": "milligram"},
    **{"lb": "pound", "lbs": "pound", "oz": "ounce", "l": "liter", "L": "liter"},
    **{"ml": "milliliter", "mL": "milliliter", "s": "second", "sec": "second", "secs": "second"},
    **{"ms": "millisecond", "min": "minute", "mins": "minute", "h": "hour", "hr": "hour"},
    **{"hrs": "hour", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz"},
    **{"GHz": "gigahertz", "KB": "kilobyte", "kB": "kilobyte", "MB": "megabyte"},
    **{"GB": "gigabyte", "TB": "terabyte", "W": "watt", "kW": "kilowatt", "V": "volt"},
    **{"kWh": "kilowatt hour", "mph": "mile# per hour", "km/h": "kilometer# per hour"},
    **{"kph": "kilometer# per hour", "m/s": "meter# per second", "dB": "decibel"},
    **{"km2": "square kilometer", "m2": "square meter", "m3": "cubic meter", "px": "pixel"},
    **{"yr": "year", "yrs": "year", "fps": "frame# per second"},
}
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_SIGNS = {"+": "plus", "=": "equals", "×": "times", "÷": "divided by", "±": "plus or minus"}
_SIGNS |= {"<": "less than", ">": "greater than", "&": "and", "@": "at", "%": "percent"}
_SIGNS |= {"°": "degrees", "$": "dollars", "€": "euros", "£": "pounds", "#": "number", "~": "about"}


_CONTEXT = 40
"""Characters on each side that a reader may look at: the whole text would cost its square."""


def _before(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - _CONTEXT) : match.start()]


def _after(match: re.Match[str]) -> str:
    return match.string[match.end() : match.end() + _CONTEXT]


def _plural(noun: str) -> str:
    return _IRREGULAR_PLURALS.get(noun) or numbers.plural(noun)


def _counted(amount: str, noun: str) -> str:
    """Joins a number and its unit, whose "#" (or else its end) is where a plural goes."""
    noun, _, tail = noun.partition("#")
    if not noun.endswith("hertz") and amount.replace(",", "") != "1":
        noun = _plural(noun)
    return f"{numbers.decimal(amount)} {noun}{tail}"


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
    article = "" if re.search(r"\bthe\s+$", _before(match), re.I) else "the "
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


def _money(match: re.Match[str]) -> str:
    main, small = _CURRENCIES[match["sign"] or match["sign_after"]]
    amount, magnitude = match["amount"] or match["amount_after"], match["magnitude"]
    if magnitude:
        magnitude = magnitude.strip().lower()
        magnitude = _MAGNITUDES.get(magnitude, magnitude)
        return f"{numbers.decimal(amount)} {magnitude} {_plural(main)}"
    whole, _, cents = amount.partition(".")
    if len(cents) != 2 or not small:
        return _counted(amount, main)
    spoken = [_counted(whole, main)] if int(whole.replace(",", "") or "0") else []
    if int(cents):
        spoken.append(_counted(str(int(cents)), small))
    return " and ".join(spoken) or _counted("0", main)


def _telephone(match: re.Match[str]) -> str:
    groups = re.findall(r"\d+", match[0])
    return ("plus " if match[0].startswith("+") else "") + " ".join(map(numbers.digits, groups))


def _degrees(match: re.Match[str]) -> str:
    sign = "minus " if match["sign"] else ""
    scale = {"C": " Celsius", "F": " Fahrenheit", "K": " Kelvin"}.get(match["scale"] or "", "")
    return f"{sign}{_counted(match['amount'], 'degree')}{scale}"


def _unit(match: re.Match[str]) -> str:
    return _counted(match["amount"], _UNITS[match["unit"]])


def _fraction(match: re.Match[str]) -> str | None:
    top, bottom = match["top"], match["bottom"]
    if int(bottom) == 0 or int(bottom) > 100:
        return f"{numbers.cardinal(top)} over {numbers.cardinal(bottom)}"
    part = {"2": "half", "4": "quarter"}.get(bottom) or numbers.ordinal(bottom)
    if int(bottom) == 1:
        return f"{numbers.cardinal(top)} over one"
    if top != "1":
        part = "halves" if part == "half" else numbers.plural(part)
    spoken = f"{numbers.cardinal(top)} {part}"
    if not match["whole"]:
        return spoken
    spoken = f"a {part}" if top == "1" else spoken
    return f"{numbers.cardinal(match['whole'])} and {spoken}"


def _decade(match: re.Match[str]) -> str | None:
    number = match["decade"]
    if len(number) == 2:
        return numbers.plural(numbers.cardinal(number)) if number != "00" else None
    return numbers.plural(numbers.year(number))


def _between(match: re.Match[str]) -> str:
    """Reads a span, a score or a ratio: "10-20", "3:1"; two years are read as years."""
    ends = match["first"], match["last"]
    years = all(re.fullmatch(_YEAR, end) for end in ends) and match["join"] != ":"
    return " to ".join(map(numbers.year if years else numbers.decimal, ends))


def _version(match: re.Match[str]) -> str:
    parts = " point ".join(map(numbers.cardinal, match[0].strip("vV").split(".")))
    return f"version {parts}" if match[0][0] in "vV" else parts


def _letters_and_digits(match: re.Match[str]) -> str:
    """Reads "B2B", "mp3", "covid19": short or capital runs of letters are spelt."""
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
    if not sign and re.fullmatch(_YEAR, amount) and _YEAR_BEFORE.search(_before(match)):
        return numbers.year(amount)
    return ("minus " if sign else "") + numbers.decimal(amount)


_YEAR_BEFORE = re.compile(
    r"\b(?:in|since|until|till|by|before|after|year|during|circa|early|late|mid|back in|from|of)"
    r"\s+$",
    re.I,
)


def _between_numbers(match: re.Match[str]) -> str:
    return {"*": "times", "x": "times", "-": "minus", "/": "divided by", "^": "to the power of"}[
        match[0].strip()
    ]


def _dotted(match: re.Match[str]) -> str:
    """Reads letters with full stops: "U.S.", "e.g.", "J.R.R."."""
    plain = match[0].strip(".").lower()
    return ABBREVIATIONS.get(plain) or spell(plain)


def _abbreviation(match: re.Match[str]) -> str | None:
    word, after = match["word"].lower(), _after(match)
    if word in TITLES and re.match(r"\s+[A-Z]", after):
        return TITLES[word]
    if word in ("st", "dr"):
        street = re.search(r"[A-Z][\w']*\s+$|\d\w*\s+$", _before(match))
        names = {"st": ("Street", "Saint"), "dr": ("Drive", "Doctor")}[word]
        return names[0] if street else names[1]
    if word in TITLES:
        return None if word in ("gen", "col", "rep", "hon", "pres", "gov", "ft") else TITLES[word]
    if word in NEED_A_NUMBER and not re.match(r"\s*\d", after):
        return None
    if word == "co" and match["word"] == "co":
        return None
    return ABBREVIATIONS.get(word)


def _capitals(match: re.Match[str]) -> str:
    spoken = acronym(match["capitals"])
    if not match["ending"]:
        return spoken
    spelt = spoken.lower() == spell(match["capitals"])
    return numbers.plural(spoken) if spelt else f"{spoken}{match['ending']}"


_LETTERED = re.compile(
    r"\b(?:an|plan|type|grade|class|vitamin|group|part|team|option|letter)\s+$", re.I
)


def _single_letter(match: re.Match[str]) -> str | None:
    letter = match["letter"]
    if letter in "aI":
        return None
    if letter == "A" and re.match(r"\s+[a-z']|\s*$", _after(match)):
        named = _LETTERED.search(_before(match))
        return LETTER_NAMES["a"] if named else None
    return LETTER_NAMES[letter.lower()]


def _after_heading(match: re.Match[str]) -> str | None:
    value = roman(match["numeral"])
    return f"{match['heading']} {numbers.cardinal(str(value))}" if value else None


def _after_name(match: re.Match[str]) -> str | None:
    value = roman(match["numeral"])
    return f"{match['name']} the {numbers.ordinal(str(value))}" if value else None


def _address(match: re.Match[str]) -> str:
    host = re.sub(r"^(?:https?://)?(?:www\.)?", "", match[0]).split("/")[0].split("?")[0]
    return _readable(host)


def _email(match: re.Match[str]) -> str:
    name, host = match[0].split("@")
    return f"{_readable(name)} at {_readable(host)}"


def _readable(address: str) -> str:
    words = re.sub(r"\d+", lambda digits: f" {numbers.digits(digits[0])} ", address)
    words = words.replace(".", " dot ").replace("+", " plus ").replace("-", " dash ")
    return re.sub(r"[\W_]+", " ", words).strip()


READINGS: tuple[tuple[re.Pattern[str], Reader], ...] = tuple(
    (re.compile(pattern), reader)
    for pattern, reader in (
        (r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}", _email),
        (r"(?:https?://|www\.)[^\s()]*[\w/]", _address),
        (
            r"(?<![\w.-])(?:[\w-]{1,63}\.){1,8}(?:com|org|net|edu|gov|io|ai|dev|uk|de|fr|eu)\b(?!\.\w)",
            _address,
        ),
        (r"(?<![\d.-])[12]\d{3}-\d{2}-\d{2}(?![\d-])", _iso_date),
        (r"(?<![\d/])\d{1,2}/\d{1,2}/(?:\d{4}|\d{2})(?![\d/])", _us_date),
        (
            rf"(?<!\w)(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?![\w:%]|\.\d)"
            rf"(?:,?\s+(?P<year>{_YEAR})(?![\w,]))?",
            _month_day,
        ),
        (
            rf"(?<![\w.,])(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<month>{_MONTH})(?!\w)"
            rf"(?:,?\s+(?P<year>{_YEAR})(?![\w,]))?",
            _day_month,
        ),
        (rf"(?<!\w)(?P<month>{_MONTH})\s+(?P<year>{_YEAR})(?![\w,])", _month_year),
        (
            r"(?<![\w:.])(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d)(?!:?\d))"
            r"(?:\s*(?P<half>[ap]\.?m\b\.?|[AP]\.?M\b\.?))?",
            _clock,
        ),
        (
            r"(?<![\w:.])(?P<hour>\d{1,2})(?P<minute>)\s*(?P<half>[ap]\.?m\b\.?|[AP]\.?M\b\.?)",
            _clock,
        ),
        (
            rf"(?:(?P<sign>[$€£¥₹])\s?(?P<amount>{_NUMBER})"
            rf"|(?<![\w.])(?P<amount_after>{_NUMBER})\s?(?P<sign_after>[€£¥₹¢$])(?!\d))"
            r"(?:(?P<magnitude>\s?(?:thousand|million|billion|trillion|mn|bn|tn|[kKmMbBtT])\b))?",
            _money,
        ),
        (
            r"(?<![\w.])(?:\+\d{1,3}[ .-])?(?:\(\d{3}\)\s?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\d-])"
            r"|(?<![\w.-])\d{3}-\d{4}(?![\d-])|\+\d{6,15}(?!\d)",
            _telephone,
        ),
        (
            rf"(?<![\w.])(?P<sign>-)?(?P<amount>{_NUMBER})\s?°\s?(?:(?P<scale>[CFK])(?!\w))?",
            _degrees,
        ),
        (r"(?<![\w.])'?(?P<decade>[12]\d\d0|[2-9]0)'?s(?!\w)", _decade),
        (rf"(?<![\w.])(?P<amount>{_NUMBER})\s?(?P<unit>{_UNIT})(?![\w'/])", _unit),
        (
            r"(?<![\w./])(?:(?P<whole>\d+)\s+)?(?P<top>\d{1,3})/(?P<bottom>\d{1,4})(?![\w/])",
            _fraction,
        ),
        (
            r"(?<![\w.])\d[\d,]*(?:st|nd|rd|th)(?!\w)",
            lambda match: numbers.ordinal(match[0][:-2]),
        ),
        (
            rf"(?<![\w.-])(?P<first>{_NUMBER})\s?(?P<join>[-–:])\s?(?P<last>{_NUMBER})(?![\w-])",
            _between,
        ),
        (r"(?<![\w.])(?:[vV]\d+(?:\.\d+)+|\d+(?:\.\d+){2,})(?!\w)", _version),
        (rf"#\s?(?P<amount>{_NUMBER})", lambda match: f"number {numbers.decimal(match['amount'])}"),
        (r"(?<=\d)\s*[*^/](?=\s*[\d.-])|(?<=\d)\s+[x-]\s+(?=\d)|(?<=\d)x(?=\d)", _between_numbers),
        (r"(?<!\w)(?:[A-Za-z]+\d+\w*|\d+[A-Za-z]\w*)", _letters_and_digits),
        (rf"(?<![\w.])(?P<sign>-)?(?P<amount>{_NUMBER})", _number),
        (
            r"(?<!\w)(?P<heading>Chapter|Part|Act|Scene|Volume|Book|Phase|Section|Level|War|Type)"
            r"\s+(?P<numeral>[IVXL]{2,}|[IVX](?=\s*(?:[.,;:?!]|$)))(?!\w)",
            _after_heading,
        ),
        (
            r"(?<!\w)(?P<name>[A-Z][a-z]+)\s+(?P<numeral>[IVX]*(?:II|IV|VI|IX|XI|XV)[IVX]*)\b",
            _after_name,
        ),
        (r"(?<![\w.])(?:[A-Za-z]\.){2,}[A-Za-z]?(?!\w)|(?<!\w)Ph\.D\.?|(?<!\w)w/o?(?= )", _dotted),
        (r"(?<!\w)'n'(?!\w)", lambda match: "and"),
        (r"(?<![\w.])(?P<word>[A-Za-z]{2,6})\.(?!\w)", _abbreviation),
        (r"(?<![\w'])(?P<capitals>[A-Z]{2,})(?P<ending>'?s)?(?![\w])", _capitals),
        (r"(?<![\w'.-])(?P<letter>[A-Za-z])(?:\.(?=\s+[A-Z]))?(?![\w'-])", _single_letter),
        (
            "[" + re.escape("".join(_SIGNS)) + "]",
            lambda match: _SIGNS[match[0]],
        ),
    )
)
