"""Texts as the models read them, in the language that is given or that their script shows."""

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
    """Mandarin where Chinese characters prevail, a little sooner if the text begins with one."""
    letters = [script for script in map(script_of, text) if script]
    if HAN not in letters:
        return ENGLISH
    num_words = len(re.findall(r"[A-Za-zÀ-ɏ]+", text))
    weight = 0.5 if letters[0] == HAN else 1.5
    return MANDARIN if letters.count(HAN) > weight * num_words else ENGLISH


def segment(text: str, language: str) -> list[tuple[str, str]]:
    """Divides a text into stretches of one language each.

    Args:
        text: as written, or normalised.
        language: of the text as a whole: numbers and marks are its own.

    Returns:
        (language, stretch), in order; together they are the text.
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
    """Writes a text as it is said: markdown and emoji out; numbers, dates, money as words.

    Args:
        text: anything a person or a language model wrote.
        language: a key of `LANGUAGE_MARKS`, or None for what the script shows. English leaves out
            the letters that it cannot read.
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
    """Reads texts as phonemes.

    Args:
        texts: as written, or normalised already.
        language: a key of `LANGUAGE_MARKS`, or None for what the script of each shows: then words
            of the other language are read in it.

    Returns:
        One `Phonemes` a text, in order. They may be shared with a cache: not to be changed.

    Raises:
        InputError: the language is none that is known.
    """
    if language == ENGLISH:
        return english_phonemes.phonemize(texts)
    if language is not None and language not in LANGUAGE_MARKS:
        known = ", ".join(LANGUAGE_MARKS)
        raise InputError(f"language {language!r} is not known here; choose one of: {known}")
    if language is not None:
        return [_mixed(text, language) for text in texts]
    # English alone is read in one go, which is faster by far.
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
    """Adds what a stretch says behind what is there."""
    body = part.symbols[1:]
    if not body or (len(found.symbols) == 1 and body[0] in PUNCTUATION):
        return
    if len(found.symbols) > 1 and body[0] not in PUNCTUATION:
        found.symbols.append(BOUNDARY)
    offset = len(found.symbols) - 1
    found.symbols.extend(body)
    found.words.extend((word, start + offset, end + offset) for word, start, end in part.words)


assert set(LANGUAGE_MARKS) == {ENGLISH, MANDARIN}
