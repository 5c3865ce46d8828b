"""A spelling check for English texts, to exclude typing errors from synthesis."""

import re
from functools import cache

from data.errors import MissingModelError

_WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)*")
_CLITICS = frozenset(("s", "m", "re", "ve", "ll", "d", "t"))
# Correct words missing from the dictionary, which has no abbreviations and few new words.
_KNOWN = frozenset(
    "wifi imax showtimes redeye tv mph ma'am cafe med checkin dropoff roundtrip biryani "
    "electropop electronica enroute favourite o'clock y'all".split()
)


def doubtful(text: str) -> bool:
    """Whether the text has a word that is not in the dictionary. Capitalised words (names) always
    pass; contractions pass if their ending exists (not "I'mm").

    Raises:
        MissingModelError: pyspellchecker is not installed.
    """
    return any(_unknown(match[0].replace("’", "'")) for match in _WORD.finditer(text))


def _unknown(word: str) -> bool:
    if word.lower() in _KNOWN:
        return False
    base, apostrophe, clitic = word.rpartition("'")
    if apostrophe:
        return clitic.lower() not in _CLITICS and base.lower() not in ("o", "d")
    return word[0].islower() and word not in _dictionary()


@cache
def _dictionary():
    try:
        from spellchecker import SpellChecker
    except ImportError:
        raise MissingModelError(
            "the spelling check needs pyspellchecker, which is not installed; run: "
            "python3 launch.py data teacher"
        ) from None
    return SpellChecker().word_frequency
