"""Valid Unicode out of whatever a client, a file or a language model sent as text."""

import unicodedata

HAN_LETTERS = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u3005\u3007"
"""Chinese characters, between the brackets of a pattern: also the zero 〇 and the sign 々, which
repeats the character before it."""

_LAYOUT = "\n\t"
_NOT_SHOWN = {"Cc": "control characters", "Cs": "halves of characters", "Zl": "line separators"}
_NOT_SHOWN["Zp"] = "paragraph separators"
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def unprintable(text: str, allowed: str = _LAYOUT) -> str:
    """What stands in a text that must not be shown or stored as it is; empty where all is well.

    Such characters steer terminals (ESC), reverse what follows them, or end lines unseen.

    Args:
        text: to be looked at.
        allowed: control characters that may be there.

    Returns:
        For a message: the kind of the first one, and its code point.
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
    r"""Join surrogate pairs and drop lone surrogates, so that the text can be encoded.

    JSON may carry half of an escaped pair (`"\ud83d"`), for instance where a client cut a string
    between its two halves. Python reads it into a `str` that no file, socket or library takes.
    Call this wherever text enters; valid text is returned as it is.

    >>> valid_text("Hi \ud83d there \ud83d\ude00")
    'Hi  there 😀'
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return text
