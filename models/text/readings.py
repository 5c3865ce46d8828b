"""How signs, numbers, dates, money and abbreviations are read aloud: one pattern, one reader each.

`READINGS` is tried in order at every place of a cleaned text. A reader gets the match and returns
the words to say, or None when this is not what its pattern took it for.
"""

import re

from models.text import numbers
from models.text.context import Reader, before
from models.text.dates import DATES, HALF_OF_DAY, YEAR
from models.text.initials import acronym, spell
from models.text.shortened import SHORTENED

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
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
    **{"yr": "year", "yrs": "year", "fps": "frame# per second", "wk": "week", "mo": "month"},
}
_UNIT = "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True))
_MAGNITUDE = r"(?:thousand|million|billion|trillion|mn|bn|tn|[kKmMbBtT])\b"
_AMOUNT = (
    rf"[$€£¥₹]?{_NUMBER}(?::[0-5]\d){{0,2}}"
    rf"(?:\s?(?:[%€£¥₹¢]|°[CF]?|{HALF_OF_DAY}|{_UNIT}|{_MAGNITUDE})(?!\w))?"
)
_DENOMINATORS = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 32, 64, 100))
_SIGNS = {"+": "plus", "=": "equals", "×": "times", "÷": "divided by", "±": "plus or minus"}
_SIGNS |= {"<": "less than", ">": "greater than", "&": "and", "@": "at", "%": "percent"}
_SIGNS |= {"°": "degrees", "$": "dollars", "€": "euros", "£": "pounds", "#": "number", "~": "about"}


def _plural(noun: str) -> str:
    return _IRREGULAR_PLURALS.get(noun) or numbers.plural(noun)


def _counted(amount: str, noun: str) -> str:
    """Joins a number and its unit, whose "#" (or else its end) is where a plural goes."""
    noun, _, tail = noun.partition("#")
    if not noun.endswith("hertz") and amount.replace(",", "") != "1":
        noun = _plural(noun)
    return f"{numbers.decimal(amount)} {noun}{tail}"


def _span(match: re.Match[str]) -> str | None:
    """Reads a span of amounts: "$5-10", "9am-5pm", "50%-60%"; `_between` reads bare numbers."""
    first, last = match["first"], match["last"]
    if re.fullmatch(_NUMBER, first) and re.fullmatch(_NUMBER, last):
        return None
    if first[0] in _CURRENCIES and last[0] not in _CURRENCIES:
        last = first[0] + last
        first = first[1:] if first[1:].isdecimal() else first
    ends = [_read(first), _read(last)]
    return " to ".join(end for end in ends if end) if all(ends) else None


def _read(amount: str) -> str | None:
    """The words of an amount, by whichever reading takes all of it."""
    for pattern, reader in READINGS:
        match = pattern.fullmatch(amount)
        if match and (words := reader(match)):
            return words
    return None


def _money(match: re.Match[str]) -> str:
    return ("minus " if match["minus"] else "") + _sum_of_money(match)


def _sum_of_money(match: re.Match[str]) -> str:
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


def _per(match: re.Match[str]) -> str | None:
    """Reads the slash behind an amount: "$5/hour", "60 miles/hour"; not that of "2 cats/dogs"."""
    noun = _UNITS.get(match["unit"], match["unit"]).replace("#", "")
    if noun.endswith("s") or not _COUNTED_BEFORE.search(before(match)):
        return None
    return f"per {noun}"


_COUNTED_BEFORE = re.compile(rf"\d\s?(?:{_UNIT}|{_MAGNITUDE}|[a-z]+s|[€£¥₹¢])?$")


def _two_numbers(top: str, bottom: str) -> str:
    """Reads what is no fraction: "24/7", the mark "10/10", the share "50/50"."""
    if int(bottom) == 0 or int(bottom) > 100:
        return f"{numbers.cardinal(top)} over {numbers.cardinal(bottom)}"
    joined = " out of " if top == bottom != "50" else " "
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


def _decade(match: re.Match[str]) -> str | None:
    number = match["decade"]
    if len(number) == 2:
        return numbers.plural(numbers.cardinal(number)) if number != "00" else None
    return numbers.plural(numbers.year(number))


def _between(match: re.Match[str]) -> str:
    """Reads a span, a score or a ratio: "10-20", "3:1"; two years are read as years."""
    ends = match["first"], match["last"]
    years = all(re.fullmatch(YEAR, end) for end in ends) and match["join"] != ":"
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
    if not sign and re.fullmatch(YEAR, amount) and _YEAR_BEFORE.search(before(match)):
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
        (rf"(?<![\w./-])(?P<first>{_AMOUNT})[-–](?P<last>{_AMOUNT})(?![\w-]|/\d)", _span),
        *DATES,
        (
            r"(?:(?<![\w.])(?P<minus>-))?"
            rf"(?:(?P<sign>[$€£¥₹])\s?(?P<amount>{_NUMBER})"
            rf"|(?<![\w.])(?P<amount_after>{_NUMBER})\s?(?P<sign_after>[€£¥₹¢$])(?!\d))"
            rf"(?P<magnitude>\s?{_MAGNITUDE})?",
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
        (
            rf"(?<![\w.])(?P<sign>-)?(?P<amount>{_NUMBER})\s?%",
            lambda match: f"{_number(match)} percent",
        ),
        (r"(?<![\w.])'?(?P<decade>[12]\d\d0|[2-9]0)'?s(?!\w)", _decade),
        (rf"(?<![\w.])(?P<amount>{_NUMBER})\s?(?P<unit>{_UNIT})(?![\w']|/\d)", _unit),
        (rf"/(?P<unit>{_UNIT}|[a-z]{{2,}})(?!\w)", _per),
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
        *SHORTENED,
        (
            "[" + re.escape("".join(_SIGNS)) + "]",
            lambda match: _SIGNS[match[0]],
        ),
    )
)
