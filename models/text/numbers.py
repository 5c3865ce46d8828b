"""Numbers in English words: how many, which one, which year, digit by digit."""

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen"),
    *("eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ("", "thousand", "million", "billion", "trillion")
_IRREGULAR_ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"},
    **{"nine": "ninth", "twelve": "twelfth"},
}
LONGEST_NUMBER_DIGITS = 15
"""Longer ones are read digit by digit: nobody follows quadrillions."""


def digits(number: str) -> str:
    """Reads digit by digit and passes over all else: "007" -> "zero zero seven"."""
    return " ".join(_ONES[int(character)] for character in number if character.isdecimal())


def _below_thousand(number: int) -> list[str]:
    words = []
    if number >= 100:
        words += [_ONES[number // 100], "hundred"]
        number %= 100
    if number >= 20:
        words.append(_TENS[number // 10])
        number %= 10
        if number:
            words.append(_ONES[number])
    elif number:
        words.append(_ONES[number])
    return words


def cardinal(number: str) -> str:
    """Reads how many: "1,250" -> "one thousand two hundred fifty".

    A number that begins with a superfluous zero, or is too long to follow, is read digit by digit.
    """
    plain = number.replace(",", "")
    if len(plain) > LONGEST_NUMBER_DIGITS or (len(plain) > 1 and plain.startswith("0")):
        return digits(plain)
    value = int(plain)
    if value == 0:
        return "zero"
    groups: list[list[str]] = []
    for scale in _SCALES:
        value, rest = divmod(value, 1000)
        if rest:
            groups.append(_below_thousand(rest) + ([scale] if scale else []))
    return " ".join(word for group in reversed(groups) for word in group)


def decimal(number: str) -> str:
    """Reads a number with or without decimals: "3.14" -> "three point one four"."""
    whole, _, fraction = number.partition(".")
    spoken = cardinal(whole) if whole else "zero"
    return f"{spoken} point {digits(fraction)}" if fraction else spoken


def ordinal(number: str) -> str:
    """Reads which one: "21" -> "twenty first"."""
    head, _, last = cardinal(number).rpartition(" ")
    if last in _IRREGULAR_ORDINALS:
        last = _IRREGULAR_ORDINALS[last]
    elif last.endswith("y"):
        last = last[:-1] + "ieth"
    else:
        last += "th"
    return f"{head} {last}".strip()


def year(number: str) -> str:
    """Reads a year of four digits: "1905" -> "nineteen oh five", "2024" -> "twenty twenty four"."""
    century, rest = int(number[:2]), int(number[2:])
    if century % 10 == 0 and rest < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    tail = f"oh {_ONES[rest]}" if rest < 10 else cardinal(str(rest))
    return f"{cardinal(str(century))} {tail}"


def plural(words: str) -> str:
    """Puts the last word into the plural: "nineteen ninety" -> "nineteen nineties"."""
    if words.endswith("y") and words[-2:-1] not in "aeiou":
        return words[:-1] + "ies"
    return words + ("es" if words.endswith(("s", "x", "ch", "sh")) else "s")
