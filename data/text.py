"""Sanitising text from clients, files and language models."""

import unicodedata

HAN_LETTERS = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3005\u3007"
"""Chinese characters, between the brackets of a pattern: also the zero 〇 and the sign 々, which
repeats the character before it."""

_LAYOUT = "\n\t"
_NOT_SHOWN = {"Cc": "control characters", "Cs": "halves of characters", "Zl": "line separators"}
_NOT_SHOWN["Zp"] = "paragraph separators"
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def unprintable(text: str, allowed: str = _LAYOUT) -> str:
    """Describes the first character of a text that must not be shown or stored, or "".

    Such characters control terminals (ESC), reverse the writing direction, or end lines invisibly.

    Args:
        text: the text to check.
        allowed: permitted control characters.

    Returns:
        For a message: the character's kind and code point.
    """
    for character in text:
        if character in allowed:
            continue
        if character in _REORDERING:
            return f"characters that change the direction of writing (U+{ord(character):04X})"
        kind = _NOT_SHOWN.get(unicodedata.category(character))
        if kind is not None:
            return f"{kind} (U+{ord(character):04X})"
    return ""


def valid_text(text: str) -> str:
    r"""Joins surrogate pairs and drops lone surrogates, so that the text can be encoded.

    JSON may contain half of an escaped pair (`"\ud83d"`), for instance if a client split a string
    between the halves. Python parses it into a `str` that cannot be encoded. Call this wherever
    text enters; valid text is returned unchanged.

    >>> valid_text("Hi \ud83d there \ud83d\ude00")
    'Hi  there 😀'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return text
