"""Detects the scripts of a text, and whether they can be spoken."""

import unicodedata
from collections import Counter
from collections.abc import Collection
from functools import lru_cache

from data.errors import InputError
from models.text.symbols import LANGUAGE_NAMES
from models.text.thoughts import without_thoughts

HAN, LATIN = "Han", "Latin"
_NAMES = {"CJK": HAN, "LATIN": LATIN, "FULLWIDTH": LATIN, "MODIFIER": LATIN, "IDEOGRAPHIC": HAN}
# Scripts that each language's frontend reads, by their Unicode names.
_READ = {"en-us": frozenset((LATIN, "Greek")), "zh": frozenset((HAN, LATIN, "Greek"))}


@lru_cache(maxsize=8192)
def script_of(character: str) -> str:
    """The script of a letter ("Han", "Latin", "Arabic"), or "" for other characters."""
    if not character.isalpha():
        return ""
    name = unicodedata.name(unicodedata.normalize("NFKC", character)[:1], "").split(" ")[0]
    return _NAMES.get(name, name.capitalize())


def scripts_of(text: str) -> Counter[str]:
    """Number of letters per script."""
    found = Counter(map(script_of, text))
    del found[""]
    return found


def read_as(languages: Collection[str]) -> str | None:
    """The language to read texts in: the only one spoken, or None to detect it per stretch."""
    first, *others = languages
    return None if others else first


def check_scripts(text: str, languages: Collection[str] = ("en-us",), most: float = 0.0) -> None:
    """Checks that the voices can speak a text's scripts.

    Args:
        text: the text to speak.
        languages: languages that the weights were trained on.
        most: tolerated share of letters in other scripts, which are skipped.

    Raises:
        InputError: the share is exceeded; the message names the script.
    """
    found = scripts_of(without_thoughts(text))
    known = frozenset[str]().union(*(_READ[language] for language in languages))
    other = Counter({name: n for name, n in found.items() if name not in known})
    if not other or other.total() <= most * found.total():
        return
    script = other.most_common(1)[0][0]
    example = next(character for character in text if script_of(character) == script)
    what = "Chinese characters (Han)" if script == HAN else f"the {script} script"
    spoken = " and ".join(LANGUAGE_NAMES[language] for language in languages)
    letters = "in Latin letters" if HAN not in known else "in Latin letters or Chinese characters"
    raise InputError(
        f"the text is written in {what}, as in {example!r}; these voices speak {spoken} only: "
        f"give a text {letters}"
    )
