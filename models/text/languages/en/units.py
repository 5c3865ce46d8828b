"""Units of measure: "5 kWh", "12 μg/m^3", "9.8 m/s^2", "a 10-km run", "several km"."""

import re
from functools import lru_cache

from models.text.languages.en import numbers
from models.text.languages.en.amounts import (
    MAGNITUDE,
    NUMBER,
    counted,
    is_attribute,
    plural_of,
    singular_of,
)
from models.text.languages.en.context import Reader, after, before
from models.text.languages.en.exponents import to_the
from models.text.languages.en.letters import STOPPED_UNITS

_PREFIXES = {
    **{"f": "femto", "p": "pico", "n": "nano", "μ": "micro", "µ": "micro", "u": "micro"},
    **{"m": "milli", "c": "centi", "d": "deci", "h": "hecto", "k": "kilo", "K": "kilo"},
    **{"M": "mega", "G": "giga", "T": "tera", "P": "peta"},
}
# Units with their nouns and the prefixes they occur with.
_PREFIXED = (
    *(("m", "meter", "fpnμµumcdk"), ("g", "gram", "nμµumck"), ("s", "second", "fpnμµm")),
    *(("l", "liter", "nμµumcdh"), ("L", "liter", "nμµumcdh"), ("mol", "mole", "nμµmk")),
    *(("A", "amp", "pnμµumk"), ("V", "volt", "nμµumkM"), ("W", "watt", "nμµmkMGT")),
    *(("Wh", "watt hour", "mkMGT"), ("Ah", "amp hour", "mk"), ("VA", "volt amp", "kM")),
    *(("J", "joule", "nμµmkMGT"), ("N", "newton", "μµmkM"), ("Pa", "pascal", "μµmhkMG")),
    *(("Hz", "hertz", "mkMGT"), ("bar", "bar", "mk"), ("eV", "electron volt", "mkMGT")),
    *(("cal", "calorie", "k"), ("F", "farad", "pnμµum"), ("H", "henry", "nμµum")),
    *(("Ω", "ohm", "μµmkMG"), ("ohm", "ohm", "km"), ("T", "tesla", "nμµm"), ("K", "kelvin", "m")),
    *(("Bq", "becquerel", "kMG"), ("Sv", "sievert", "μµm"), ("Gy", "gray", "m")),
    *(("B", "byte", "kKMGTP"), ("b", "bit", "kKMGTP"), ("bit", "bit", "kKMGT")),
    *(("bps", "bit# per second", "kKMG"), ("t", "ton", "kM"), ("pc", "parsec", "kMG")),
    *(("lm", "lumen", "km"), ("lx", "lux", "k"), ("rad", "radian", "m"), ("cd", "candela", "m")),
)
_PLAIN = {
    **{"mi": "mile", "ft": "foot", "yd": "yard", "lb": "pound", "lbs": "pound", "oz": "ounce"},
    **{"sec": "second", "secs": "second", "min": "minute", "mins": "minute", "h": "hour"},
    **{"hr": "hour", "hrs": "hour", "yr": "year", "yrs": "year", "wk": "week", "mo": "month"},
    **{"mph": "mile# per hour", "kph": "kilometer# per hour", "kmh": "kilometer# per hour"},
    **{"kmph": "kilometer# per hour", "kn": "knot", "kt": "knot", "kts": "knot"},
    **{"NM": "nautical mile", "nmi": "nautical mile", "ly": "light year", "ha": "hectare"},
    **{"AU": "astronomical unit", "gal": "gallon", "qt": "quart", "tsp": "teaspoon"},
    **{"tbsp": "tablespoon", "dB": "decibel", "dBm": "decibel milliwatt", "pt": "point"},
    **{"rpm": "revolution# per minute", "bpm": "beat# per minute", "fps": "frame# per second"},
    **{"psi": "pound# per square inch", "mpg": "mile# per gallon", "dpi": "dot# per inch"},
    **{"ppi": "pixel# per inch", "ppm": "part# per million", "ppb": "part# per billion"},
    **{"mmHg": "millimeter# of mercury", "inHg": "inch# of mercury", "atm": "atmosphere"},
    **{"cmH2O": "centimeter# of water", "Torr": "torr", "px": "pixel", "MP": "megapixel"},
    **{"IU": "international unit", "hp": "horsepower", "BTU": "bee tee you", "deg": "degree"},
    **{"mcg": "microgram", "cc": "cubic centimeter", "kgf": "kilogram# of force", "Å": "angstrom"},
    **{
        "dBA": "decibel# ay",
        "Wp": "watt# peak",
        "kWp": "kilowatt# peak",
        "lb-ft": "pound foot",
        "inH2O": "inch# of water",
        "kvar": "kilovar",
    },
    **{"Da": "dalton", "kDa": "kilodalton", "Ci": "curie", "mCi": "millicurie", "mrem": "millirem"},
    **{"mM": "millimolar", "μM": "micromolar", "µM": "micromolar", "nM": "nanomolar"},
    **{"VAC": "volt# ay see", "VDC": "volt# dee see"},
    **{"wks": "week", "mos": "month", "pcs": "piece"},
    **{"KiB": "kibibyte", "MiB": "mebibyte", "GiB": "gibibyte", "TiB": "tebibyte"},
    **{"Nm": "newton meter", "kNm": "kilonewton meter", "lbf": "pound# of force"},
    **{
        "ft-lb": "foot pound",
        "ft-lbs": "foot pound",
        "ft lb": "foot pound",
        "ft lbs": "foot pound",
    },
    **{"fl oz": "fluid ounce", "fl. oz.": "fluid ounce", "sqft": "square foot", "acre": "acre"},
    **{"arcmin": "arc minute", "arcsec": "arc second", "in^2": "square inch", "in^3": "cubic inch"},
    **{
        f"{kind}{dot} {symbol}{end}": f"{word} {noun}"
        for kind, word in (("sq", "square"), ("cu", "cubic"))
        for dot, end in (("", ""), (".", "."), (".", ""))
        for symbol, noun in (
            *(("ft", "foot"), ("in", "inch"), ("yd", "yard"), ("mi", "mile"), ("m", "meter")),
            *(("km", "kilometer"), ("cm", "centimeter")),
        )
    },
}
_SYMBOLS = {
    prefix + symbol: re.sub(r"[oa](?=ohm)", "", _PREFIXES.get(prefix, "") + noun)
    for symbol, noun, prefixes in _PREFIXED
    for prefix in ("", *prefixes)
} | _PLAIN
# Common other cases; if two units differ by case alone, the more frequent one.
_ANY_CASE = {
    **{"kwh": "kWh", "mwh": "MWh", "gwh": "GWh", "wh": "Wh", "kw": "kW", "mw": "MW", "gw": "GW"},
    **{"kv": "kV", "kva": "kVA", "mah": "mAh", "ah": "Ah", "hz": "Hz", "khz": "kHz", "mhz": "MHz"},
    **{"ghz": "GHz", "hpa": "hPa", "kpa": "kPa", "mpa": "MPa", "mbar": "mbar", "db": "dB"},
    **{"dbm": "dBm", "kb": "kB", "mb": "MB", "gb": "GB", "tb": "TB", "kbps": "kbps"},
    **{"mbps": "Mbps", "gbps": "Gbps", "mbit": "Mbit", "gbit": "Gbit", "kbit": "kbit", "kg": "kg"},
    **{"km": "km", "cm": "cm", "ml": "ml", "mg": "mg", "lb": "lb", "lbs": "lbs", "oz": "oz"},
    **{"ft": "ft", "yd": "yd", "kmh": "kmh", "mph": "mph", "kph": "kph", "rpm": "rpm"},
    **{"bpm": "bpm", "fps": "fps", "psi": "psi", "ppm": "ppm", "dpi": "dpi", "btu": "BTU"},
    **{"hp": "hp", "mmhg": "mmHg", "kcal": "kcal", "cal": "cal", "kj": "kJ", "mj": "MJ"},
    **{"kev": "keV", "mev": "MeV", "gev": "GeV", "hrs": "hrs", "mins": "mins", "nmi": "nmi"},
    **{"kts": "kts", "gal": "gal", "tbsp": "tbsp", "tsp": "tsp", "iu": "IU", "ha": "ha"},
}
for _small, _symbol in _ANY_CASE.items():
    for _written in (_small, _small.upper(), _small.capitalize()):
        _SYMBOLS.setdefault(_written, _SYMBOLS[_symbol])

SYMBOL = "(?:" + "|".join(sorted(map(re.escape, _SYMBOLS), key=len, reverse=True)) + ")"
_POWER = r"(?:\^-?\d|(?<=m)[23](?!\d)|(?<=ft)[23](?!\d)|(?<=\bs)[23](?!\d))?"
_TERM = rf"{SYMBOL}{_POWER}(?![A-Za-z])"
_PRODUCT = rf"{_TERM}(?:\s?[·*]\s?{_TERM}| {SYMBOL}\^-\d){{0,3}}"
UNIT = rf"{_PRODUCT}(?:/(?:\d+ ?)?(?:\({_PRODUCT}\)|{_PRODUCT})){{0,2}}"
"""A unit made of others: a product of powers, over another."""

_AREAS = ("meter", "foot", "inch", "mile", "yard")
_POWERS = {"2": ("square", "squared"), "3": ("cubic", "cubed")}


def _term(written: str) -> tuple[str, bool]:
    """Noun and power of a unit symbol, and whether it divides."""
    found = re.fullmatch(rf"(?P<symbol>{SYMBOL})\^?(?P<inverse>-)?(?P<power>\d)?", written)
    assert found is not None
    noun, power = _SYMBOLS[found["symbol"]], found["power"] or "1"
    if power in _POWERS:
        adjective, behind = _POWERS[power]
        is_length = singular_of(noun).endswith(_AREAS)
        noun = f"{adjective} {noun}" if is_length else f"{noun}# {behind}"
    elif power != "1":
        noun = f"{noun}# to the {numbers.ordinal(power)}"
    return noun, found["inverse"] is not None


@lru_cache(maxsize=1024)
def noun_of(unit: str) -> str:
    """The noun of a unit, with "#" at its plural: "m/s" -> "meter# per second"."""
    top: list[str] = []
    bottom: list[str] = []
    for number, part in enumerate(re.split(r"/", unit)):
        for count, written in re.findall(rf"(\d+ ?)?({_TERM})", part):
            noun, inverse = _term(written)
            if number or inverse:
                many = f"{numbers.cardinal(count.strip())} {plural_of(noun)}" if count else noun
                bottom.append(singular_of(many))
            else:
                top.append(noun)
    *others, counted_noun = top or [""]
    spoken = " ".join([*map(singular_of, others), counted_noun])
    if bottom:
        spoken += ("" if "#" in spoken else "#") + "".join(f" per {noun}" for noun in bottom)
    return spoken.strip("# ") if not top else spoken


_COUNTED_BEFORE = re.compile(
    rf"\d\s?(?:{UNIT}|°[CFK]?|{MAGNITUDE}|[a-z]+s|[€£¥₹¢])?$|(?:^|\s)[$€£¥₹]$"
)
_PLACE_BEFORE = re.compile(
    r"\b(?:room|gate|section|flat|apartment|unit|suite|row|seat|block|building|class|grade|group"
    r"|platform|hall|terminal|plan|type|exhibit|size|appendix|figure|table|part|bus|line)\s+\Z",
    re.I,
)
_UNIT_ENDS = re.compile(r"\.?\Z|[,;:!?)]|\.? [a-z(]")
_ONE_BEFORE = re.compile(r"\b(?:per|a|an|one|each|every|the|this|that)\s+\Z", re.I)


def _is_doubtful(match: re.Match[str]) -> bool:
    """Whether a letter after a number may not be a unit: "10K", "Gate 10 A", "5 B"."""
    unit, amount = match["unit"], match["amount"]
    if unit not in _DOUBTFUL:
        return False
    if unit in "BbFH" or _PLACE_BEFORE.search(before(match)):
        return True
    if match["joint"] != " ":
        return unit not in "AT" or "." not in amount
    if not _UNIT_ENDS.match(after(match)):
        return True  # "104 N. Main Street", "for 2 t Mary"
    return (unit == "T" and "." not in amount) or (unit == "K" and len(amount) < 2)


# Letters that often mean something else after a number: "5 B", "Gate 10 A", "75 F".
_DOUBTFUL = frozenset("ABbFHJKNTt")


def _quantity(match: re.Match[str]) -> str | None:
    if _is_doubtful(match):
        return None
    amount, power, noun = match["amount"], match["power"], noun_of(match["unit"])
    said = numbers.decimal(amount) + (f" {to_the(power)}" if power else "")
    one = amount.replace(",", "") == "1" and not power
    one = one or match["joint"] == "-" or is_attribute(match)
    sign = "minus " if match["sign"] else ""
    return f"{sign}{said} {singular_of(noun) if one else plural_of(noun)}"


def _time(match: re.Match[str]) -> str:
    """Reads "2h30m" and "1h 5m 10s"."""
    parts = zip(match.groups(), ("hour", "minute", "second"), strict=True)
    return " ".join(counted(str(int(amount)), noun) for amount, noun in parts if amount)


def _inches(match: re.Match[str]) -> str:
    if is_attribute(match):
        return f"{numbers.decimal(match['amount'])} inch"
    return counted(match["amount"], "inch")


def _counted_by(amount: str, noun: str) -> str:
    """The noun after a fraction: "1/2 foot", but "5 1/2 feet"."""
    return plural_of(noun) if re.search(r"\d\s\d/\d\Z", amount) else singular_of(noun)


def _uncounted(match: re.Match[str]) -> str | None:
    """Reads units without a number if unambiguous: "in km/h", "per kWh"."""
    noun = noun_of(match["unit"])
    return singular_of(noun) if _ONE_BEFORE.search(before(match)) else plural_of(noun)


def _per(match: re.Match[str]) -> str | None:
    """Reads the slash after an amount: "$5/hour", "60 miles/hour"; not that of "2 cats/dogs"."""
    written = match["unit"]
    noun = singular_of(noun_of(written)) if re.fullmatch(UNIT, written) else written
    if noun.endswith("s") or not _COUNTED_BEFORE.search(before(match)):
        return None
    return f"per {noun}"


# Without a number: compounds, squares and unambiguous symbols.
_UNCOUNTED = (
    rf"(?:(?=[A-Za-zμµ]{{2,8}}[^/\s]{{0,8}}/|m/s|g/L|g/[cd]?m\^){_PRODUCT}/\(?{_PRODUCT}\)?|{SYMBOL}(?:(?<=m)|(?<=ft))\^[23]"
    rf"|(?=[a-zμµ]+[A-Z]|[MGT](?:Hz|Wh|W|Pa)\b){SYMBOL}|(?:sq|cu)\.? (?:ft|in|yd|mi|m|km)"
    r"|(?:km|kg|cm|mm|mg|mph|kph|lbs|rpm|Hz))"
)

_STOPPED = "(?:" + "|".join(f"(?<={unit})" for unit in STOPPED_UNITS) + ")"
_CONTINUES = r"(?= [a-z]| \d{1,2} in\b)"  # "6 ft. 2 in."

UNITS: tuple[tuple[str, Reader], ...] = (
    (r"(?<![\w.])(\d{1,3})h ?(\d{1,2})m(?:in)?(?: ?(\d{1,2})s)?(?!\w)", _time),
    (
        r"(?<![\w.])(?P<feet>[3-8])ft(?P<inches>\d|1[01])(?:in)?(?!\w|\.\d)",
        lambda match: f"{numbers.cardinal(match['feet'])} foot {numbers.cardinal(match['inches'])}",
    ),
    (
        r"(?<![\w.])(?P<amount>\d{1,2}) ?[kK]t?(?=(?: (?:solid|yellow|white|rose|pure))? gold\b)",
        lambda match: f"{numbers.cardinal(match['amount'])} karat",
    ),
    (
        rf"(?:(?<![\w.)])(?P<sign>-))?(?<![\w.])(?P<amount>{NUMBER})(?:\^(?P<power>-?\d+))?"
        rf"(?P<joint> |-|)(?P<unit>{UNIT})(?![\w'^]|/\d)(?:{_STOPPED}\.{_CONTINUES})?",
        _quantity,
    ),
    (
        rf"(?<![\w.])(?P<amount>{NUMBER})(?:in(?![\w'])| in\.(?= [a-z])"
        r"|(?:(?<=[x×] \d)|(?<=[x×] \d\d)) in(?=\s*(?:[.,;:)]|\Z))"
        r"|(?:(?<=ft \d)|(?<=ft \d\d)|(?<=ft\. \d)|(?<=ft\. \d\d)) in(?!\w))",
        _inches,
    ),
    (rf"(?<![\w/.'-])(?P<unit>{_UNCOUNTED})(?![\w'/^])", _uncounted),
    (
        r"(?<=\d/\d) (?P<unit>ft|lbs?|oz|yd|mi|cm|km|kg|gal|tsp|tbsp|hrs?|yrs?)(?![\w'])",
        lambda match: _counted_by(before(match), noun_of(match["unit"])),
    ),
    (rf"/(?P<unit>{UNIT}|[a-z]{{2,}})(?!\w)", _per),
)
"""Patterns and their readers, in the order in which they are tried."""
