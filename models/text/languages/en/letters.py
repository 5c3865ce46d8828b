"""Names of letters, interjections, titles and abbreviations."""

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
    **{
        "fri": "Friday",
        "sat": "Saturday",
        "sun": "Sunday",
        "jr": "Junior",
        "sr": "Senior",
        "vs": "versus",
    },
    **{"etc": "et cetera", "approx": "approximately", "dept": "department", "est": "established"},
    **{"inc": "Incorporated", "ltd": "Limited", "corp": "Corporation", "co": "Company"},
    **{"ave": "Avenue", "rd": "Road", "blvd": "Boulevard", "apt": "Apartment", "vol": "volume"},
    **{"ed": "edition", "eds": "editors", "fig": "figure", "pp": "pages", "tel": "telephone"},
    **{"ext": "extension", "max": "maximum", "min": "minimum", "temp": "temperature"},
    **{"misc": "miscellaneous", "govt": "government", "assn": "association", "ch": "chapter"},
    **{"sec": "seconds", "hr": "hour", "hrs": "hours", "mins": "minutes", "secs": "seconds"},
    **{"yr": "year", "yrs": "years", "no": "number", "nos": "numbers", "e.g": "for example"},
    **{"i.e": "that is", "a.m": "ay em", "p.m": "pee em", "ph.d": "pee aitch dee"},
    **{"a.k.a": "also known as", "w/o": "without", "w/": "with", "b/c": "because"},
    **{"incl": "including", "excl": "excluding", "art": "article"},
    **{"c/o": "care of", "n/a": "en ay", "cf": "compare", "eq": "equation", "rs": "rupees"},
}
STOPPED_UNITS = tuple("ft yd lb lbs oz min mins sec secs hr hrs yr yrs gal qt".split())
"""Units that some write with a full stop: "wait 10 min. then stir" is one sentence."""

NEED_A_NUMBER = frozenset(
    """sat sun mon wed thu tue fri ed max min no nos mar jan jun jul fig sec temp ch pp vol ext apt
    hr est art sept oct nov dec feb apr aug eq rs""".split()
)
"""These are words or names too: an abbreviation only in front of a number ("No. 5", "Jan. 3")."""
