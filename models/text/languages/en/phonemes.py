"""Words to phonemes by espeak-ng, through phonemizer and espeakng-loader's library."""

import logging
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from threading import Lock

from models.text.languages.en.alignment import divide
from models.text.languages.en.normalising import SpokenWord, read_aloud
from models.text.phonemes import Phonemes
from models.text.symbols import BOUNDARY, LANGUAGE_MARKS, split_phone

CACHED_TEXTS = 50_000
LONGEST_CLAUSE_WORDS = 40
"""Longer runs without a pause are handed to espeak-ng in pieces: dividing costs their square."""

# espeak-ng reads our spellings of the letters A and F wrongly, as "eye" and "E F F".
_RESPELT = {"ay": "eigh", "eff": "ef"}
_NAMED_LETTER = re.compile(r"\b(?:ay|eff)\b")

# Vietnamese and transliterated letters, which espeak-ng spells by their code points ("Nguyễn").
_STACKED = re.compile("[\u1e00-\u1eff]")

_espeak_lock = Lock()  # the library has global state
_texts: OrderedDict[tuple[str, str], Phonemes] = OrderedDict()
_isolated: dict[tuple[str, str], list[list[str]]] = {}


@cache
def _backend(language: str):
    import espeakng_loader
    from phonemizer.backend import EspeakBackend
    from phonemizer.backend.espeak.wrapper import EspeakWrapper

    # phonemizer warns about words that run together ("of the"), which is expected.
    logger = logging.getLogger(f"{__name__}.espeak")
    logger.setLevel(logging.ERROR)
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    return EspeakBackend(
        language,
        with_stress=True,
        preserve_punctuation=True,
        language_switch="remove-flags",
        words_mismatch="ignore",
        logger=logger,
    )


def _espeak(texts: list[str], language: str) -> list[list[list[str]]]:
    """Phone groups that espeak-ng returns for each text of plain words."""
    from phonemizer.separator import Separator

    separator = Separator(word="|", phone="_", syllable="")
    texts = [_NAMED_LETTER.sub(lambda name: _RESPELT[name[0]], text) for text in texts]
    texts = [_STACKED.sub(_without_marks, text) for text in texts]
    with _espeak_lock:
        written = _backend(language).phonemize(texts, separator=separator, strip=True)
    return [
        [[phone for phone in group.split("_") if phone] for group in text.split("|") if group]
        for text in written
    ]


def _without_marks(letter: re.Match[str]) -> str:
    return unicodedata.normalize("NFD", letter[0])[0]


def _learn_words(words: set[str], language: str) -> None:
    unknown = sorted(word for word in words if (language, word) not in _isolated)
    if unknown:
        for word, groups in zip(unknown, _espeak(unknown, language), strict=True):
            _isolated[language, word] = groups


def _clauses(spoken: Sequence[SpokenWord]) -> list[tuple[str, ...]]:
    """Groups the words between pauses, which espeak-ng reads together."""
    clauses: list[list[str]] = [[]]
    for item in spoken:
        if item.mark or len(clauses[-1]) + len(item.words) > LONGEST_CLAUSE_WORDS:
            clauses.append([])
        clauses[-1].extend(item.words)
    return [tuple(clause) for clause in clauses if clause]


def _read_clauses(
    clauses: set[tuple[str, ...]], language: str
) -> dict[tuple[str, ...], list[list[str]]]:
    """Phones of each word of each clause, in the context of the clause."""
    _learn_words({word for clause in clauses for word in clause}, language)
    ordered = sorted(clauses)
    read = {}
    for clause, groups in zip(
        ordered, _espeak([" ".join(clause) for clause in ordered], language), strict=True
    ):
        alone = [_isolated[language, word] for word in clause]
        if len(groups) == len(clause) and all(len(word) == 1 for word in alone):
            read[clause] = groups
        else:
            read[clause] = divide(groups, [[p for g in word for p in g] for word in alone])
    return read


def _assemble(spoken: Sequence[SpokenWord], phones: list[list[str]], language: str) -> Phonemes:
    symbols, words = [LANGUAGE_MARKS[language]], []
    following = iter(phones)
    for item in spoken:
        if item.mark:
            symbols.append(item.mark)
            continue
        start = None
        for _ in item.words:
            said = [symbol for phone in next(following) for symbol in split_phone(phone)]
            if said and len(symbols) > 1:
                symbols.append(BOUNDARY)
            if said and start is None:
                start = len(symbols)
            symbols.extend(said)
        if start is not None:
            words.append((item.written, start, len(symbols)))
    return Phonemes(symbols, words)


def phonemize(texts: list[str], language: str = "en-us") -> list[Phonemes]:
    """Converts English texts to phonemes in one batch, with a cache.

    Args:
        texts: raw or normalised.
        language: espeak-ng's name of the language.

    Returns:
        One `Phonemes` per text, in order. They are shared with the cache: do not modify.
    """
    results = {text: _texts[language, text] for text in texts if (language, text) in _texts}
    new = {text: read_aloud(text) for text in dict.fromkeys(texts) if text not in results}
    clauses = {text: _clauses(spoken) for text, spoken in new.items()}
    read = _read_clauses({clause for some in clauses.values() for clause in some}, language)
    for text, spoken in new.items():
        phones = [phones for clause in clauses[text] for phones in read[clause]]
        results[text] = _texts[language, text] = _assemble(spoken, phones, language)
    while len(_texts) > CACHED_TEXTS:
        _texts.popitem(last=False)
    return [results[text] for text in texts]
