"""Superscripts and subscripts (exponents, ions, ordinals, footnotes), and readings of "x^2".

NFKC would turn them into plain digits: "106" for "10⁶".
"""

import re
import unicodedata

from models.text.languages.en import numbers
from models.text.languages.en.context import Reader, before
from models.text.languages.en.letters import LETTER_NAMES

_DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_RAISED = f"{_DIGITS}⁺⁻⁼⁽⁾ⁿⁱªº\u02b0-\u02b8\u02e1-\u02e3\u1d2c-\u1d6a\u1d9b-\u1dbf"
_LOWERED = "₀₁₂₃₄₅₆₇₈₉"
_SQUARES = str.maketrans(
    {
        "㎟": " mm²",
        "㎠": " cm²",
        "㎡": " m²",
        "㎢": " km²",
        "㎣": " mm³",
        "㎤": " cm³",
        "㎥": " m³",
        "㎦": " km³",
    }
)
_ANY = re.compile(f"[{_RAISED}{_LOWERED}]")
_FRACTION = re.compile(rf"(?<![{_DIGITS}])([{_DIGITS}]{{1,9}})[/⁄]([{_LOWERED}]{{1,9}})")
_RUN = re.compile(f"[{_RAISED}]+")
_BASE_OF_NUMBER = re.compile(rf"(?:(?<=\d)|(?<=log))([{_LOWERED}]+)")
_BASE = re.compile(rf"[^\W_{_RAISED}]*[)\]]?\Z")
_ORDINAL = frozenset(("st", "nd", "rd", "th", "er", "e", "o", "a"))
# Bases of exponents longer than a variable's name; otherwise "word²" is a footnote.
_LONG_BASE = re.compile(
    r"sinh?|cosh?|tanh?|cot|sec|csc|log|ln|exp|min|bar|mol|[kM]Pa|[ckmµμ]m|ft|yd|mi|inch(?:es)?|feet"
    r"|met(?:er|re)s?|miles?|yards?|seconds?"
)


def write_exponents(text: str) -> str:
    """Rewrites superscripts and subscripts in plain characters: "10⁶" -> "10^6", "1ˢᵗ" -> "1st".

    Footnotes (superscript digits after a word or a mark) are dropped.
    """
    text = text.translate(_SQUARES)
    if not _ANY.search(text):
        return text
    text = _FRACTION.sub(lambda found: f" {_plain(found[1])}/{_plain(found[2])}", text)
    text = _RUN.sub(_lower, text)
    return _BASE_OF_NUMBER.sub(lambda found: f" base {_plain(found[1])}", text)


def _plain(raised: str) -> str:
    return unicodedata.normalize("NFKC", raised).replace("−", "-")


def _lower(found: re.Match[str]) -> str:
    base = _BASE.search(before(found))
    base = re.sub(r"\A\d+(?=[^\W\d])", "", base[0]) if base else ""  # "100km²"
    raised = _plain(found[0])
    if not base:
        isotope = found.string[found.end() : found.end() + 1].isalpha()
        return raised if isotope or not raised.isdecimal() else ""
    if base[-1].isdecimal() and raised in _ORDINAL:
        return raised if len(raised) == 2 and raised != "er" else "th"
    if charge := re.fullmatch(r"(\d*)([+-])", raised):
        return f" {charge[1]} {'plus' if charge[2] == '+' else 'minus'} "
    has_power = len(base) <= 2 or not base[-1].isalpha() or _LONG_BASE.fullmatch(base)
    if re.fullmatch(r"[-+]?\d+", raised):
        if has_power and len(base) == 1 and found.string[found.end() :][:1].isalpha():
            divides = before(found)[-2:-1] == "/"
            return f"^{raised}·" if divides else f" {to_the(raised)} "  # "W/m²K", "x²y"
        return f"^{raised}" if has_power else ""
    if base[-1].isupper() and len(base) == 1 and raised.isalpha():
        return raised  # "Mᵐᵉ"
    return f"^{raised}" if has_power and raised[-1] in "nixktmab)" else raised


def to_the(power: str) -> str:
    """Reads an exponent after its base: "2" -> "squared", "-3" -> "to the minus three"."""
    sign, digits = ("minus ", power[1:]) if power[0] == "-" else ("", power.lstrip("+"))
    if not sign and digits in ("2", "3"):
        return "squared" if digits == "2" else "cubed"
    if digits.isdecimal():
        return f"to the {sign}{numbers.cardinal(digits) if sign else numbers.ordinal(digits)}"
    if digits.isalpha():
        return f"to the {sign}{LETTER_NAMES[digits.lower()]}"
    return f"to the power of {sign}{numbers.decimal(digits)}"


EXPONENTS: tuple[tuple[str, Reader], ...] = (
    # the variables of "mc^2" and "at^2"
    (
        rf"(?<![\w^])(?!in|{_LONG_BASE.pattern})[a-z]{{2}}(?=\s?\^\s?\(?-?\d)",
        lambda match: " ".join(LETTER_NAMES[letter] for letter in match[0]),
    ),
    # the slash of "v^2/r" and "1/x^2"; units are matched earlier
    (r"(?<=\^\d)\s?/\s?(?=[\w(])|(?<=\d)/(?=[A-Za-z]\^)", lambda match: "over"),
    (
        r"(?<=[\w)])\s?\^\s?\(?(?P<power>[-+]?(?:\d{1,15}(?:\.\d{1,15})?|[a-zA-Z]))\)?(?!\w)",
        lambda match: to_the(match["power"]),
    ),
    (r"(?<=\w)\s?\^\s?\(", lambda match: "to the power of"),
    (
        r"(?<![\w.])(?P<amount>\d{1,15}(?:\.\d{1,15})?)[eE](?P<power>[-+]?\d{1,3})(?!\w)",
        lambda match: (
            f"{numbers.decimal(match['amount'])} times ten {to_the(match['power'].lstrip('+'))}"
        ),
    ),
)
"""Patterns and their readers, in the order in which they are tried."""
