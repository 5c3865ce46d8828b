"""Pinyin syllables to symbols: initial, glide, nucleus with tone, coda.

Stops share the English symbols (both languages contrast them by aspiration); the tone is on the
nucleus, which has the length of the syllable. Tone 5 is neutral.
"""

import re

TONES = "12345"
NUCLEI = ("a", "ai", "au", "o", "ou", "ɤ", "ə", "e", "ei", "i", "ɨ", "u", "y", "ɚ")
NEW_CONSONANTS = ("tɕ", "tɕʰ", "ɕ", "tʂ", "tʂʰ", "ʂ", "ʐ", "ts", "tsʰ", "x", "ɥ", "ɻ")
NEW_SYMBOLS = (*NEW_CONSONANTS, *(nucleus + tone for nucleus in NUCLEI for tone in TONES))
"""What Mandarin needs beside the symbols of English."""

_INITIALS = {
    **{"b": "b", "p": "p", "m": "m", "f": "f", "d": "d", "t": "t", "n": "n", "l": "l", "g": "ɡ"},
    **{"k": "k", "h": "x", "j": "tɕ", "q": "tɕʰ", "x": "ɕ", "zh": "tʂ", "ch": "tʂʰ", "sh": "ʂ"},
    **{"r": "ʐ", "z": "ts", "c": "tsʰ", "s": "s", "": ""},
}
_APICAL = frozenset(("zh", "ch", "sh", "r", "z", "c", "s"))
# glide, nucleus, coda
_FINALS = {
    **{"a": ("", "a", ""), "o": ("", "o", ""), "e": ("", "ɤ", ""), "ê": ("", "e", "")},
    **{"i": ("", "i", ""), "u": ("", "u", ""), "v": ("", "y", ""), "er": ("", "ɚ", "")},
    **{"ai": ("", "ai", ""), "ei": ("", "ei", ""), "ao": ("", "au", ""), "ou": ("", "ou", "")},
    **{"an": ("", "a", "n"), "en": ("", "ə", "n"), "ang": ("", "a", "ŋ"), "eng": ("", "ə", "ŋ")},
    **{"ong": ("", "u", "ŋ"), "ia": ("j", "a", ""), "ie": ("j", "e", ""), "iao": ("j", "au", "")},
    **{"iu": ("j", "ou", ""), "ian": ("j", "e", "n"), "in": ("", "i", "n"), "io": ("j", "o", "")},
    **{"iang": ("j", "a", "ŋ"), "ing": ("", "i", "ŋ"), "iong": ("j", "u", "ŋ")},
    **{"ua": ("w", "a", ""), "uo": ("w", "o", ""), "uai": ("w", "ai", ""), "ui": ("w", "ei", "")},
    **{"uan": ("w", "a", "n"), "un": ("w", "ə", "n"), "uang": ("w", "a", "ŋ")},
    **{
        "uong": ("w", "ə", "ŋ"),
        "ueng": ("w", "ə", "ŋ"),
        "ve": ("ɥ", "e", ""),
        "van": ("ɥ", "e", "n"),
        "vn": ("", "y", "n"),
    },
}
_INITIAL = re.compile(r"(?:zh|ch|sh|[bpmfdtnlgkhjqxrzcs])?")
_INTERJECTIONS = {"m": "m", "n": "n", "ng": "ŋ", "hm": "m", "hng": "ŋ"}


def _spelled_out(syllable: str) -> str:
    """Undoes pinyin's spelling rules for y, w and ü: "yuan" -> "van", "wo" -> "uo", "ju" ->
    "jv"."""
    syllable = syllable.replace("ü", "v").replace("u:", "v")
    if syllable.startswith("yu"):
        return "v" + syllable[2:] if syllable != "yu" else "v"
    if syllable.startswith("y"):
        rest = syllable[1:]
        return {"ou": "iu"}.get(rest, rest if rest[:1] == "i" else "i" + rest)
    if syllable.startswith("w"):
        rest = syllable[1:]
        return {"ei": "ui", "en": "un"}.get(rest, rest if rest[:1] == "u" else "u" + rest)
    return re.sub(r"(?<=[jqx])u", "v", syllable)


def symbols_of(syllable: str, rhotic: bool = False) -> list[str]:
    """Symbols of a syllable with tone: "zhang1" -> ["tʂ", "a1", "ŋ"].

    Args:
        syllable: pinyin and a tone from 1 to 5.
        rhotic: whether it ends in erhua, which replaces n or i.
    """
    tone = syllable[-1] if syllable[-1] in TONES else "5"
    plain = _spelled_out(syllable.rstrip(TONES).lower())
    if plain in _INTERJECTIONS:
        return ["ə" + tone, _INTERJECTIONS[plain]]
    initial = _INITIAL.match(plain)
    assert initial is not None
    final = plain[initial.end() :]
    if final not in _FINALS:
        raise ValueError(f"{syllable!r} is not a Mandarin syllable")
    glide, nucleus, coda = _FINALS[final]
    if final == "i" and initial[0] in _APICAL:
        nucleus = "ɨ"
    if rhotic:
        nucleus = {"ai": "a", "ei": "ə", "ɨ": "ə"}.get(nucleus, nucleus)
        coda = "ɻ"
    return [part for part in (_INITIALS[initial[0]], glide, nucleus + tone, coda) if part]
