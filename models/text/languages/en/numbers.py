"""Numbers in English words: cardinals, ordinals, years, digit by digit."""

from functools import lru_cache

from num2words import num2words

LONGEST_NUMBER_DIGITS = 15
"""Longer ones are read digit by digit: nobody follows quadrillions."""


@lru_cache(maxsize=4096)
def _words(number: int, kind: str = "cardinal") -> str:
    """American English, without "and", commas and hyphens."""
    written = num2words(number, to=kind)
    return written.replace("-", " ").replace(",", "").replace(" and ", " ")


def digits(number: str) -> str:
    """Reads digit by digit, ignoring other characters: "007" -> "zero zero seven"."""
    return " ".join(_words(int(character)) for character in number if character.isdecimal())


def cardinal(number: str) -> str:
    """Reads a cardinal: "1,250" -> "one thousand two hundred fifty".

    Numbers with a leading zero, or too long to follow, are read digit by digit.
    """
    plain = number.replace(",", "")
    if len(plain) > LONGEST_NUMBER_DIGITS or (len(plain) > 1 and plain.startswith("0")):
        return digits(plain)
    return _words(int(plain))


def decimal(number: str) -> str:
    """Reads a number with or without decimals: "3.14" -> "three point one four"."""
    whole, _, fraction = number.partition(".")
    spoken = cardinal(whole) if whole else "zero"
    return f"{spoken} point {digits(fraction)}" if fraction else spoken


def ordinal(number: str) -> str:
    """Reads an ordinal: "21" -> "twenty first"."""
    plain = number.replace(",", "")
    if len(plain) > LONGEST_NUMBER_DIGITS:
        return digits(plain)
    return _words(int(plain), "ordinal")


def year(number: str) -> str:
    """Reads a four-digit year: "1905" -> "nineteen oh five", "2024" -> "twenty twenty four"."""
    return _words(int(number), "year")


def plural(words: str) -> str:
    """Puts the last word into the plural: "nineteen ninety" -> "nineteen nineties"."""
    if words.endswith("y") and words[-2:-1] not in "aeiou":
        return words[:-1] + "ies"
    return words + ("es" if words.endswith(("s", "x", "ch", "sh")) else "s")
