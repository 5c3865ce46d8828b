"""Text frontend: normalises and phonemizes text in a given language or in that of its script."""

import re
from itertools import compress

from data.errors import InputError
from data.text import HAN_LETTERS
from models.text.languages.en import normalising as english
from models.text.languages.en import phonemes as english_phonemes
from models.text.phonemes import Phonemes
from models.text.scripts import HAN, script_of
from models.text.symbols import BOUNDARY, ENGLISH, LANGUAGE_MARKS, MANDARIN, PUNCTUATION

_MANDARIN_STRETCH = re.compile(
    rf"[{HAN_LETTERS}](?:[\d，。、！？：；“”《》·—…％%.:]*[{HAN_LETTERS}])*[，。！？；：、]?"
)
_ENGLISH_STRETCH = re.compile(r"[A-Za-zÀ-ɏ][A-Za-zÀ-ɏ'’&]*(?:[ .-]+[A-Za-zÀ-ɏ][A-Za-zÀ-ɏ'’&]*)*")


def language_of(text: str) -> str:
    """Mandarin if Chinese characters prevail, with a slight preference if the text starts with
    one."""
    letters = [script for script in map(script_of, text) if script]
    if HAN not in letters:
        return ENGLISH
    num_words = len(re.findall(r"[A-Za-zÀ-ɏ]+", text))
    weight = 0.5 if letters[0] == HAN else 1.5
    return MANDARIN if letters.count(HAN) > weight * num_words else ENGLISH


def segment(text: str, language: str) -> list[tuple[str, str]]:
    """Splits a text into stretches of one language each.

    Args:
        text: raw or normalised.
        language: main language, which numbers and punctuation belong to.

    Returns:
        (language, stretch) pairs in order; concatenated they are the text.
    """
    pattern, other = (
        (_ENGLISH_STRETCH, ENGLISH) if language == MANDARIN else (_MANDARIN_STRETCH, MANDARIN)
    )
    found, position = [], 0
    for stretch in pattern.finditer(text):
        if before := text[position : stretch.start()]:
            found.append((language, before))
        found.append((other, stretch[0]))
        position = stretch.end()
    if rest := text[position:]:
        found.append((language, rest))
    return found


def normalise(text: str, language: str | None = ENGLISH) -> str:
    """Normalises a text: removes markdown and emoji; spells out numbers, dates and money.

    Args:
        text: written by a person or a language model.
        language: a key of `LANGUAGE_MARKS`, or None to detect it by script. English drops letters
            of other scripts.
    """
    if language == ENGLISH:
        return english.normalise(text)
    from models.text.languages.zh import normalising as mandarin

    main = language or language_of(text)
    if main == MANDARIN:
        return mandarin.normalise(text)
    parts = (
        mandarin.normalise(stretch) if kind == MANDARIN else english.normalise(stretch)
        for kind, stretch in segment(text, main)
    )
    return " ".join(part for part in parts if part)


def phonemize(texts: list[str], language: str | None = ENGLISH) -> list[Phonemes]:
    """Converts texts to phonemes.

    Args:
        texts: raw or normalised.
        language: a key of `LANGUAGE_MARKS`, or None to detect it by script; words of the other
            language are then read in it.

    Returns:
        One `Phonemes` per text, in order. They may be cached: do not modify.

    Raises:
        InputError: the language is unknown.
    """
    if language == ENGLISH:
        return english_phonemes.phonemize(texts)
    if language is not None and language not in LANGUAGE_MARKS:
        known = ", ".join(LANGUAGE_MARKS)
        raise InputError(f"language {language!r} is not known here; choose one of: {known}")
    if language is not None:
        return [_mixed(text, language) for text in texts]
    # English-only batches are read at once, which is much faster.
    alone = [HAN not in map(script_of, text) for text in texts]
    read = iter(english_phonemes.phonemize(list(compress(texts, alone))))
    return [
        next(read) if english_alone else _mixed(text, language_of(text))
        for text, english_alone in zip(texts, alone, strict=True)
    ]


def _mixed(text: str, main: str) -> Phonemes:
    from models.text.languages.zh import phonemes as mandarin

    if main == MANDARIN:
        text = normalise(text, MANDARIN)
    found = Phonemes([LANGUAGE_MARKS[main]], [])
    for kind, stretch in segment(text, main):
        if kind == MANDARIN:
            _append(found, mandarin.phonemize(stretch))
        else:
            _append(found, english_phonemes.phonemize([stretch])[0])
    return found


def _append(found: Phonemes, part: Phonemes) -> None:
    """Appends the phonemes of a stretch."""
    body = part.symbols[1:]
    if not body or (len(found.symbols) == 1 and body[0] in PUNCTUATION):
        return
    if len(found.symbols) > 1 and body[0] not in PUNCTUATION:
        found.symbols.append(BOUNDARY)
    offset = len(found.symbols) - 1
    found.symbols.extend(body)
    found.words.extend((word, start + offset, end + offset) for word, start, end in part.words)


assert set(LANGUAGE_MARKS) == {ENGLISH, MANDARIN}
