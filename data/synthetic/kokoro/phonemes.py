"""Text to Kokoro's alphabet: espeak-ng for English, misaki for Mandarin.

Kokoro was trained on misaki's phones: one character each, capital letters for diphthongs ("A" is
eɪ), tone arrows in Mandarin. misaki's English needs spaCy and a model that no package index has, so
espeak-ng's phones are converted. Numbers, dates and symbols must be written as words.
"""

import logging
import re
import unicodedata
import warnings
from functools import cache
from threading import Lock

from data.errors import InputError, MissingModelError
from data.text import HAN_LETTERS

_HAN = re.compile(f"[{HAN_LETTERS}]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ](?:[A-Za-zÀ-ɏ' -]*[A-Za-zÀ-ɏ])?")
_TIE = "^"
_FOR_ALL = {
    f"a{_TIE}ɪ": "I", f"a{_TIE}ʊ": "W", f"e{_TIE}ɪ": "A", f"ɔ{_TIE}ɪ": "Y", f"t{_TIE}ʃ": "ʧ",
    f"d{_TIE}ʒ": "ʤ", f"ə{_TIE}l": "ᵊl", "ɚ": "əɹ", "ɐ": "ə", "r": "ɹ", "ɬ": "l", "x": "k",
    "ç": "k", "ʲ": "", "ʔ": "t",
}  # fmt: skip
# In this order: longer ones first.
_OF_ACCENT = {
    "en-us": {f"o{_TIE}ʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "ɾ": "T"},
    "en-gb": {f"ə{_TIE}ʊ": "Q", f"e{_TIE}ə": "ɛː", "iə": "ɪə", "ɾ": "T"},
}
ACCENTS = tuple(_OF_ACCENT)
# Words that espeak-ng misreads: "ay" stands for the letter A here.
_RESPELT = ((re.compile(r"\bay\b", re.I), "eigh"),)
_FULL_WIDTH = str.maketrans("，。！？；：（）、～", ",.!?;:(),—")
_PAUSES_OF_MANDARIN = re.compile(r"[-/~@+=|·・_《》【】]+")
_lock = Lock()  # espeak-ng has global state


def phonemes(text: str, accent: str = "en-us") -> str:
    """Converts a text to Kokoro's alphabet.

    Args:
        text: English or Mandarin, possibly mixed; numbers as words.
        accent: the English accent, one of ACCENTS.

    Raises:
        InputError: the text has digits or another script.
        MissingModelError: the text has Mandarin and misaki is not installed.
    """
    if re.search(r"\d", text):
        raise InputError(f"the teacher reads no digits, got {text!r:.60}; write numbers as words")
    foreign = [c for c in text if c.isalpha() and not _HAN.match(c) and not _LATIN.match(c)]
    if foreign:
        raise InputError(
            f"the teacher reads English and Mandarin, got {foreign[0]!r} in {text!r:.60}; remove it"
        )
    if not is_mandarin(text):
        return _english(text, accent)
    parts, position = [], 0
    for latin in _LATIN.finditer(text):
        parts += [_mandarin(text[position : latin.start()]), _english(latin[0], accent)]
        position = latin.end()
    parts.append(_mandarin(text[position:]))
    joined = " ".join(part.strip() for part in parts if part.strip())
    return re.sub(r" (?=[,.!?;:])", "", joined)


def is_mandarin(text: str) -> bool:
    """Whether a text has Chinese characters."""
    return _HAN.search(text) is not None


def _english(text: str, accent: str) -> str:
    for pattern, respelt in _RESPELT:
        text = pattern.sub(respelt, text)
    # phonemizer splits at punctuation and keeps it, returning one or several pieces
    with _lock:
        phones = " ".join(_espeak(accent).phonemize([text], strip=True))
    for written, letter in [*_FOR_ALL.items(), *_OF_ACCENT[accent].items(), (_TIE, "")]:
        phones = phones.replace(written, letter)
    phones = phones.replace("ɹɹ", "ɹ")  # a single linking r between vowels
    decomposed = unicodedata.normalize("NFD", phones)
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _mandarin(text: str) -> str:
    text = _PAUSES_OF_MANDARIN.sub(" ", text.translate(_FULL_WIDTH))
    if not _HAN.search(text):
        return text
    return _misaki()(text)[0]


@cache
def _espeak(accent: str):
    import espeakng_loader
    from phonemizer.backend import EspeakBackend
    from phonemizer.backend.espeak.wrapper import EspeakWrapper

    logger = logging.getLogger(f"{__name__}.espeak")
    logger.setLevel(logging.ERROR)  # it warns about all words that run together
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    return EspeakBackend(
        accent,
        preserve_punctuation=True,
        with_stress=True,
        tie=_TIE,
        language_switch="remove-flags",
        words_mismatch="ignore",
        logger=logger,
    )


@cache
def _misaki():
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # jieba's own
            import jieba
            from misaki import zh

            jieba.setLogLevel(logging.ERROR)
            return zh.ZHG2P()
    except ImportError as error:
        raise MissingModelError(
            f"the teacher's Mandarin needs {error.name}, which is not installed; run: "
            "python3 launch.py data teacher"
        ) from None
