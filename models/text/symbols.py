"""The inventory of symbols that the models read; a symbol's index is its id.

An id is a row of trained embeddings, so the inventory is append-only: a new language adds its
symbols, its language mark among them, behind those that exist. Every configuration of a model that
reads symbols stores the inventory that it was trained with (`models/checkpoint.py`).

espeak-ng writes some English sounds as one unit that flows over two others ("ɑːɹ", "aɪɚ", "əl"),
and keeps foreign sounds in borrowed words ("x" in "Bach"). Both are written here with the English
sounds they are made of: fewer symbols, each of them seen often enough in training to be learnt.
"""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from data.errors import InputError
from models.text.languages.zh.syllables import NEW_SYMBOLS as MANDARIN_SYMBOLS

PAD = "<pad>"
UNKNOWN = "<unk>"
ENGLISH, MANDARIN = "en-us", "zh"
LANGUAGE_NAMES = {ENGLISH: "English", MANDARIN: "Mandarin"}
LANGUAGE_MARKS = {ENGLISH: "<en-us>", MANDARIN: "<zh>"}
BOUNDARY = " "
PUNCTUATION = (",", ".", "?", "!", ";", ":", "—")
STRESS = ("ˈ", "ˌ")
VOWELS = (
    *("iː", "ɪ", "i", "ᵻ", "ɛ", "æ", "ʌ", "ə", "ɐ", "ɑː", "ɔː", "ɔ", "ʊ", "uː", "ɜː", "ɚ"),
    *("eɪ", "aɪ", "ɔɪ", "oʊ", "aʊ"),
)
CONSONANTS = (
    *("p", "b", "t", "d", "ɾ", "ʔ", "k", "ɡ", "tʃ", "dʒ", "f", "v", "θ", "ð", "s", "z"),
    *("ʃ", "ʒ", "h", "m", "n", "ŋ", "l", "ɹ", "j", "w"),
)

# Frozen: what weights were trained with that store no inventory, only its length.
FIRST_SYMBOLS: tuple[str, ...] = (
    *(PAD, UNKNOWN, "<en-us>", BOUNDARY),
    *PUNCTUATION,
    *STRESS,
    *VOWELS,
    *CONSONANTS,
)
# Append here, never insert, reorder or remove.
SYMBOLS: tuple[str, ...] = (*FIRST_SYMBOLS, "<zh>", *MANDARIN_SYMBOLS)
IDS = {symbol: index for index, symbol in enumerate(SYMBOLS)}
_SOUNDS = frozenset((*STRESS, *VOWELS, *CONSONANTS))

# Sounds without a symbol of their own -> the nearest English ones. All are single characters
# once length, palatalisation, nasality and the syllabic mark have been taken off.
_NEAREST = {
    **{"a": "æ", "e": "eɪ", "o": "oʊ", "u": "uː", "ɑ": "ɑː", "ɒ": "ɑː", "ɜ": "ɜː", "y": "uː"},
    **{"ø": "ɜː", "œ": "ɜː", "ɨ": "ɪ", "ɯ": "uː", "ɤ": "ʌ", "ɵ": "ʊ", "ʏ": "ʊ", "ɘ": "ə"},
    **{"r": "ɹ", "ʁ": "ɹ", "ɽ": "ɾ", "ɬ": "l", "ɫ": "l", "ɭ": "l", "x": "k", "χ": "k"},
    **{"ħ": "h", "ɦ": "h", "q": "k", "c": "k", "ɟ": "ɡ", "ɣ": "ɡ", "g": "ɡ", "ɝ": "ɜː"},
    **{"β": "v", "ʋ": "v", "ɸ": "f", "ʂ": "ʃ", "ɕ": "ʃ", "ʐ": "ʒ", "ʑ": "ʒ", "ʈ": "t"},
    **{"ɖ": "d", "ɳ": "n", "ɴ": "ŋ", "ɱ": "m", "ɥ": "w", "ɧ": "ʃ", "ɻ": "ɹ"},
}
_TWO_SOUNDS = {"ɲ": ("n", "j"), "ʎ": ("l", "j")}
_IGNORED = set("ːˑʲʰʷˠˤ˞-^'")
_SYLLABIC_N = "n\N{COMBINING VERTICAL LINE BELOW}"


@lru_cache(maxsize=4096)
def split_phone(phone: str) -> tuple[str, ...]:
    """Writes one unit of espeak-ng with the inventory's symbols, stress first.

    Args:
        phone: e.g. "ˈɑːɹ", "tʃ", "n̩".

    Returns:
        E.g. ("ˈ", "ɑː", "ɹ"). What no rule covers is `UNKNOWN`; only modifiers that English does
        not tell apart are dropped.
    """
    found: list[str] = []
    # NFD: a nasal vowel is a vowel and a combining tilde, whichever way espeak-ng spelt it.
    rest = unicodedata.normalize("NFD", phone).replace(_SYLLABIC_N, "ən")
    while rest:
        length = 2 if rest[:2] in _SOUNDS else 1
        if rest[:length] in _SOUNDS:
            found.append(rest[:length])
        elif rest[0] in _TWO_SOUNDS:
            found.extend(_TWO_SOUNDS[rest[0]])
        elif rest[0] in _NEAREST:
            found.append(_NEAREST[rest[0]])
        elif rest[0] not in _IGNORED and not unicodedata.combining(rest[0]):
            found.append(UNKNOWN)
        rest = rest[length:]
    return tuple(found)


def symbol_ids(symbols: Iterable[str]) -> list[int]:
    """Returns the id of each symbol; one outside the inventory gets the id of `UNKNOWN`."""
    return [IDS.get(symbol, IDS[UNKNOWN]) for symbol in symbols]


def stored_inventory(values: dict[str, object]) -> tuple[str, ...]:
    """The inventory of a model from its stored configuration.

    Args:
        values: the configuration's JSON. `symbols` holds the inventory; weights from before it was
            stored have only its length, `num_symbols`, and were trained with `FIRST_SYMBOLS`.

    Raises:
        ValueError: it is neither the beginning of `SYMBOLS` nor a continuation of it, so its ids
            mean other symbols than ours.
    """
    symbols = values.get("symbols")
    if symbols is None:
        count = values.get("num_symbols")
        if count != len(FIRST_SYMBOLS):
            raise ValueError(f"it has {count} symbols, and does not say which")
        return FIRST_SYMBOLS
    if not isinstance(symbols, list) or not all(isinstance(one, str) for one in symbols):
        raise ValueError("its symbols are not a list of texts")
    for index, (stored, ours) in enumerate(zip(symbols, SYMBOLS, strict=False)):
        if stored != ours:
            raise ValueError(f"its symbol {index} is {stored!r}; here it is {ours!r}")
    return tuple(symbols)


def check_symbols(ids: Iterable[int], num_known: int, model: str) -> None:
    """Refuses a text with symbols beyond a model's inventory.

    Args:
        ids: the text's symbols.
        num_known: how many symbols the model has learnt.
        model: its name, for the message.

    Raises:
        InputError: it does not know one of them.
    """
    missing = sorted({index for index in ids if index >= num_known})
    if missing:
        named = " ".join(SYMBOLS[index] for index in missing)
        raise InputError(
            f"the text needs symbols that {model} has not learnt: {named} (it knows the first "
            f"{num_known} of {len(SYMBOLS)}). Use weights trained on that language, or train them "
            "on data that have it"
        )
