"""Named signs: "≤", "→", "§", "№", "❶"; and ASCII's "<=", "->", "+/-"."""

import re
import unicodedata

from models.text.languages.en.context import Reader, after, before
from models.text.languages.en.numerals import roman

_NAMES = {
    **{"+": "plus", "=": "equals", "×": "times", "÷": "divided by", "±": "plus or minus"},
    **{"∓": "minus or plus", "<": "less than", ">": "greater than", "&": "and", "@": "at"},
    **{"%": "percent", "‰": "per thousand", "°": "degrees", "#": "number", "~": "about"},
    **{"$": "dollars", "€": "euros", "£": "pounds", "¥": "yen", "₹": "rupees", "₩": "won"},
    **{"₽": "rubles", "₺": "lira", "₿": "bitcoin", "₦": "naira", "₱": "pesos", "₪": "shekels"},
    **{"₫": "dong", "₴": "hryvnia", "฿": "baht", "¢": "cents"},
    **{"≤": "less than or equal to", "≥": "greater than or equal to", "≠": "not equal to"},
    **{"≦": "less than or equal to", "≧": "greater than or equal to"},
    **{"⩽": "less than or equal to", "⩾": "greater than or equal to", "≡": "identical to"},
    **{"≈": "approximately", "≃": "approximately", "≅": "approximately", "∼": "about"},
    **{"≪": "much less than", "≫": "much greater than", "∝": "proportional to"},
    **{"→": "to", "⟶": "to", "➔": "to", "➜": "to", "←": "from", "↔": "to and from"},
    **{"⇒": "implies", "⟹": "implies", "⇔": "if and only if", "↑": "up", "↓": "down"},
    **{"∞": "infinity", "√": "the square root of", "∛": "the cube root of", "∑": "the sum of"},
    **{"∏": "the product of", "∫": "the integral of", "∂": "partial", "∆": "delta", "∇": "nabla"},
    **{"∈": "in", "∉": "not in", "⊂": "a subset of", "⊆": "a subset of", "∪": "union"},
    **{"∩": "intersection", "∅": "the empty set", "∀": "for all", "∃": "there exists"},
    **{"∴": "therefore", "∵": "because", "∧": "and", "∨": "or", "¬": "not", "∠": "angle"},
    **{"⊥": "perpendicular to", "∥": "parallel to", "§": "section", "¶": "paragraph"},
    **{"©": "copyright", "®": "registered trademark", "♯": "sharp", "♭": "flat", "·": ""},
}
SIGNS = frozenset(_NAMES)
"""Characters that a cleaned text may hold beside letters, digits and punctuation."""

_DIGRAPHS = {
    **{"<=": "less than or equal to", ">=": "greater than or equal to", "!=": "not equal to"},
    **{"==": "equals", "+/-": "plus or minus", "<<": "much less than", ">>": "much greater than"},
    **{"=>": "implies", "<=>": "if and only if", "§§": "sections", "¶¶": "paragraphs"},
}
_ARROWS = {
    "-->": "→",
    "->": "→",
    "<->": "↔",
    "<--": "←",
    "<-": "←",
    "➡": "→",
    "⬅": "←",
    "⋅": "·",
    "∙": "·",
}
_ARROW = re.compile(r"<-->|<->|-{1,2}>|(?<=\s)<-{1,2}(?=\s)|[➡⬅⋅∙]")
# After a word these merely mark ownership.
_OF_A_BRAND = re.compile(r"(?<=\w)[™®℠]")
_WRITTEN_OUT = str.maketrans({"™": " trademark ", "℠": " service mark ", "№": " number "})
_IN_A_CIRCLE = re.compile(r"[①-⒛⓪⓫-⓿❶-➓㉑-㉟㊱-㊿]")
_STARS = re.compile(r"(?<=\d)\s?[★⭐]|(?P<row>[★⭐]{2,10})☆{0,9}")
# Emoji and triangles are meaningful only beside numbers.
_BETWEEN = re.compile(r"(?<=[\w)])\s?([➕➖➗✖✕〜～])\ufe0f?\s?(?=[\w(])")
_OPERATORS = {"➕": " plus ", "➖": " minus ", "➗": " divided by ", "✖": " times ", "✕": " times "}
_UP_OR_DOWN = re.compile(r"(?:(?P<up>[▲△⬆🔺])|[▼▽⬇🔻])\ufe0f?(?=\s?[\d.])")
_KEYS = {"⌘": " command ", "⌥": " option ", "⇧": " shift ", "⌃": " control "}
_KEY = re.compile(r"[⌘⌥⇧⌃](?=[\w+⌘⌥⇧⌃])")
_COPYRIGHT = re.compile(r"(?:\([cC]\)|ⓒ)(?=\s?(?:(?:19|20)\d\d|MC?M))")
_ROMAN = re.compile("(?P<word>[A-Za-z] ?)?(?P<numeral>[\u2160-\u217f]+)")
_LOVE = re.compile(r"(?<=\bI )[♥❤]\ufe0f?(?= \w)")
_NUMERO = re.compile(r"\b[nN][º°](?=\s?\d)")
_BEGINS = re.compile(r"(?:\A|[.!?:\n])\s*\Z")


def write_signs(text: str) -> str:
    """Spells out signs that NFKC would destroy: "①" -> "1", "№" -> "number"."""
    text = _COPYRIGHT.sub("©", text)
    if text.isascii():
        return _ARROW.sub(lambda found: _arrow(found[0]), text)
    text = _OF_A_BRAND.sub("", text).translate(_WRITTEN_OUT)
    text = _BETWEEN.sub(lambda found: _OPERATORS.get(found[1], "–"), text)
    text = _UP_OR_DOWN.sub(lambda found: " up " if found["up"] else " down ", text)
    text = _KEY.sub(lambda found: _KEYS[found[0]], text).replace("\U0001f51f", " 10 ")
    text = _ROMAN.sub(_roman, text)
    text = _IN_A_CIRCLE.sub(_in_a_circle, text)
    text = _STARS.sub(
        lambda found: f" {len(found['row'])} stars " if found["row"] else " stars", text
    )
    text = _LOVE.sub("love", _NUMERO.sub(" number ", text))
    return _ARROW.sub(lambda found: _arrow(found[0]), text)


def _arrow(written: str) -> str:
    return _ARROWS.get(written, "↔")


def _roman(found: re.Match[str]) -> str:
    """Roman numeral characters: as letters after a word, which determines the reading ("Louis Ⅳ",
    "scene ⅱ"), otherwise as digits."""
    letters = unicodedata.normalize("NFKC", found["numeral"])
    if found["word"]:
        return f"{found['word'].rstrip()} {letters}"
    return str(roman(letters.upper()) or letters)


def _in_a_circle(found: re.Match[str]) -> str:
    number = f"{unicodedata.numeric(found[0]):g}"
    return f" {number}, " if _BEGINS.search(before(found)) else f" {number} "


def _name(match: re.Match[str]) -> str:
    sign = match[0]
    if sign == "#":
        if re.search(r"(?<!\w)[A-G]\Z", before(match)):
            return "sharp"
        return "hashtag" if after(match)[:1].isalpha() else "number"
    if sign == "·" and re.search(r"\w\s?\Z", before(match)) and re.match(r"\s?\d", after(match)):
        return "times"
    return _NAMES.get(sign) or _DIGRAPHS.get(sign, "")


NAMED_SIGNS: tuple[tuple[str, Reader], ...] = (
    ("|".join(map(re.escape, sorted(_DIGRAPHS, key=len, reverse=True))), _name),
    ("[" + re.escape("".join(_NAMES)) + "]", _name),
)
"""Patterns and their readers, in the order in which they are tried."""
