"""Letters spoken by their names, acronyms, abbreviations and Roman numerals."""

import re

LETTER_NAMES = {
    **{"a": "ay", "b": "bee", "c": "see", "d": "dee", "e": "ee", "f": "eff", "g": "jee"},
    **{"h": "aitch", "i": "eye", "j": "jay", "k": "kay", "l": "el", "m": "em", "n": "en"},
    **{"o": "oh", "p": "pee", "q": "cue", "r": "are", "s": "ess", "t": "tee", "u": "you"},
    **{"v": "vee", "w": "double you", "x": "ex", "y": "why", "z": "zee"},
}

INTERJECTIONS = {
    **{"hm": "hmm", "hmm": "hmm", "mm": "hmm", "mmm": "hmm", "mhm": "um hum"},
    **{"mhmm": "um hum", "shh": "shush", "sh": "shush", "aww": "aw", "eww": "ew", "brr": "burr"},
    **{"nth": "enth", "pls": "please", "thx": "thanks"},
}
"""What espeak-ng would spell or mispronounce."""

TITLES = {
    **{"mr": "Mister", "mrs": "Missus", "ms": "Miz", "dr": "Doctor", "prof": "Professor"},
    **{"st": "Saint", "mt": "Mount", "ft": "Fort", "gen": "General", "col": "Colonel"},
    **{"capt": "Captain", "lt": "Lieutenant", "sgt": "Sergeant", "rev": "Reverend"},
    **{"hon": "Honorable", "sen": "Senator", "gov": "Governor", "pres": "President"},
    **{"messrs": "Messieurs", "rep": "Representative", "cpl": "Corporal", "cmdr": "Commander"},
}
"""What stands before a name, so that its full stop never ends a sentence."""

MONTHS = {
    **{"jan": "January", "feb": "February", "mar": "March", "apr": "April", "may": "May"},
    **{"jun": "June", "jul": "July", "aug": "August", "sep": "September", "oct": "October"},
    **{"nov": "November", "dec": "December"},
}

ABBREVIATIONS = {
    **{month: name for month, name in MONTHS.items() if month != "may"},
    **{"sept": "September", "mon": "Monday", "tue": "Tuesday", "tues": "Tuesday"},
    **{"wed": "Wednesday", "thu": "Thursday", "thur": "Thursday", "thurs": "Thursday"},
    **{"fri": "Friday", "sat": "Saturday", "jr": "Junior", "sr": "Senior", "vs": "versus"},
    **{"etc": "et cetera", "approx": "approximately", "dept": "department", "est": "established"},
    **{"inc": "Incorporated", "ltd": "Limited", "corp": "Corporation", "co": "Company"},
    **{"ave": "Avenue", "rd": "Road", "blvd": "Boulevard", "apt": "Apartment", "vol": "volume"},
    **{"ed": "edition", "eds": "editors", "fig": "figure", "pp": "pages", "tel": "telephone"},
    **{"ext": "extension", "max": "maximum", "min": "minimum", "temp": "temperature"},
    **{"misc": "miscellaneous", "govt": "government", "assn": "association", "ch": "chapter"},
    **{"sec": "seconds", "hr": "hour", "hrs": "hours", "mins": "minutes", "secs": "seconds"},
    **{"yr": "year", "yrs": "years", "no": "number", "nos": "numbers", "e.g": "for example"},
    **{"i.e": "that is", "a.m": "ay em", "p.m": "pee em", "ph.d": "pee aitch dee"},
    **{"a.k.a": "also known as", "w/o": "without", "w/": "with"},
}
NEED_A_NUMBER = frozenset(
    """sat mon wed thu tue fri ed max min no nos mar jan jun jul fig sec temp ch pp vol ext apt hr
    est sept oct nov dec feb apr aug""".split()
)
"""These are words or names too: an abbreviation only in front of a number ("No. 5", "Jan. 3")."""

_SAID_AS_WORDS = frozenset(
    """NASA NATO AIDS OPEC UNESCO UNICEF FIFA NAFTA SCUBA LASER RADAR SONAR NORAD SWAT PIN RAM ROM
    SIM GIF JPEG WASP YOLO LOL IKEA LEGO ASAP SAT COVID CAPTCHA DARPA JAVA BASIC ASCII
    NEET TED BART GAAP HIPAA FEMA NIMBY SARS""".split()
)
_SPELT = frozenset(
    """HTML HTTP HTTPS IEEE NCAA NAACP ESPN AARP ISBN USSR USMC USPS USDA
    UCLA OECD IOS API APIS IEC UPS URL URLS IDE CEO CFO CTO COO CIO UFO UFOS
    USB EUR USD GUI UAE AOL IOU EEG EKG RSVP MBA""".split()
)
_SHORT_WORDS = frozenset(
    """AM AN AS AT BE BY DO GO HE IF IN IS IT ME MY NO OF OH ON OR SO TO UP US WE AH HA HI OW
    ALL AND ANY ARE BAD BIG BUT CAN DAY DID EAT END FAR FEW FOR FUN GET GOD GOT HAD HAS HER HEY HIM
    HIS HOT HOW ITS LET LOT MAD MAN MAY MEN NEW NOT NOW OFF OLD ONE OUR OUT OWN PAY PUT RAN RED RUN
    SAD SAT SAW SAY SEE SET SHE SIT SIX TEN THE TOO TRY TWO USE WAR WAS WAY WHO WHY WIN WON WOW YES
    YET YOU BYE DAD MOM ART BAR BED BOX BOY CAR CAT CUP CUT DOG EGG FAN FIT FIX FLY GUY HIT JOB KEY
    KID LAW LAY LEG LIE LOW MAP MIX NET NOR OIL PEN PET POP RAW ROW SEA SKY SON SUN TAX TEA TOP TOY
    VAN VIA WET HUH AHA YEP NAH UGH YAY AGO AIR ASK ADD AGE""".split()
)
_WORDS_OR_INITIALS = frozenset("US IT AM".split())
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}


def spell(letters: str) -> str:
    """Names letters and digits one by one: "usa" -> "you ess ay"."""
    return " ".join(LETTER_NAMES[letter] for letter in letters.lower() if letter in LETTER_NAMES)


def acronym(capitals: str, shouted: bool = False) -> str:
    """Reads a word in capitals: a known acronym, letters, or a word that somebody shouted.

    Args:
        capitals: at least two capital letters.
        shouted: whether a word beside it is shouted too. "US" and "IT" are initials otherwise;
            "NOT" is a word in either case, since people stress one word by its capitals.
    """
    if capitals in _WORDS_OR_INITIALS and not shouted:
        return spell(capitals)
    if capitals in _SAID_AS_WORDS:
        return capitals.capitalize()
    if capitals in _SPELT or not re.search("[AEIOUY]", capitals):
        return spell(capitals)
    if len(capitals) <= 3 and capitals not in _SHORT_WORDS:
        return spell(capitals)
    return capitals.lower()


def is_shouted(word: str) -> bool:
    """Whether a word beside it shows that capitals are shouted: "LOVE", not "Love" nor "GDP"."""
    if not word.isupper() or len(word) < 2:
        return False
    return "'" in word or acronym(word) == word.lower()


def roman(numeral: str) -> int | None:
    """Returns the value of a well-formed Roman numeral up to 89, else None."""
    if not re.fullmatch("(?=.)(L?X{0,3}|XL)(IX|IV|V?I{0,3})", numeral):
        return None
    values = [_ROMAN[letter] for letter in numeral]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )
