"""The symbol inventory of the models; a symbol's index is its id.

Ids index trained embeddings, so the inventory is append-only: a new language appends its symbols
and its language mark. Model configurations store the inventory they were trained with
(`models/checkpoint.py`).

espeak-ng writes some English sound sequences as one unit ("ɑːɹ", "aɪɚ", "əl"), and keeps foreign
sounds in loanwords ("x" in "Bach"). Both are mapped to the English sounds they consist of: a
smaller inventory, in which every symbol is frequent enough to learn.
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

# Frozen: for weights that store only the length of their inventory.
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

# Sounds without a symbol -> the nearest English ones; after removal of length, palatalisation,
# nasality and syllabicity all are single characters.
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
    """Maps one espeak-ng phone to inventory symbols, stress first.

    Args:
        phone: e.g. "ˈɑːɹ", "tʃ", "n̩".

    Returns:
        E.g. ("ˈ", "ɑː", "ɹ"). Sounds without a rule are `UNKNOWN`; modifiers that are not
        distinctive in English are dropped.
    """
    found: list[str] = []
    # NFD: a nasal vowel becomes vowel and combining tilde, however espeak-ng encodes it.
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
    """Ids of symbols; `UNKNOWN`'s for those outside the inventory."""
    return [IDS.get(symbol, IDS[UNKNOWN]) for symbol in symbols]


def stored_inventory(values: dict[str, object]) -> tuple[str, ...]:
    """Reads a model's inventory from its stored configuration.

    Args:
        values: the configuration's JSON. `symbols` is the inventory; older weights store only its
            length, `num_symbols`, and were trained with `FIRST_SYMBOLS`.

    Raises:
        ValueError: it is neither a prefix of `SYMBOLS` nor an extension, so its ids have other
            meanings.
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
    """Checks that a model knows all symbols of a text.

    Args:
        ids: the text's symbol ids.
        num_known: size of the model's inventory.
        model: its name, for the message.

    Raises:
        InputError: a symbol is unknown to the model.
    """
    missing = sorted({index for index in ids if index >= num_known})
    if missing:
        named = " ".join(SYMBOLS[index] for index in missing)
        raise InputError(
            f"the text needs symbols that {model} has not learnt: {named} (it knows the first "
            f"{num_known} of {len(SYMBOLS)}). Use weights trained on that language, or train them "
            "on data that have it"
        )
