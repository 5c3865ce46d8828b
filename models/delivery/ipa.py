"""Converts IPA pronunciations to model symbols."""

import re

from data.errors import InputError
from models.text.symbols import BOUNDARY, STRESS, UNKNOWN, VOWELS, split_phone

_TIE = re.compile("[\u0361\u035c]")
_BREAKS = re.compile(r"[.|‖/\[\]]")
_STRESSES = str.maketrans({"'": "ˈ", "`": "ˈ", "ʹ": "ˈ", "ʼ": "ˈ", "g": "ɡ", ":": "ː"})


def symbols_of_ipa(written: str) -> list[str]:
    """Symbols of a pronunciation, with one boundary between words.

    IPA marks stress before the syllable; the inventory marks it before the syllable's vowel.

    Raises:
        InputError: a character is not IPA, or there are no sounds.
    """
    words = []
    for word in _BREAKS.sub("", _TIE.sub("", written)).translate(_STRESSES).split():
        symbols = split_phone(word)
        if UNKNOWN in symbols:
            raise InputError(f"the pronunciation {written!r:.60} has signs that are not IPA")
        words.append(_stress_at_vowels(symbols))
    if not any(words):
        raise InputError(f"the pronunciation {written!r:.60} holds no sounds")
    joined = words[0]
    for word in words[1:]:
        joined += [BOUNDARY, *word]
    return joined


def _stress_at_vowels(symbols: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    pending = ""
    for symbol in symbols:
        if symbol in STRESS:
            pending = symbol
            continue
        if symbol in VOWELS and pending:
            found.append(pending)
            pending = ""
        found.append(symbol)
    return found
