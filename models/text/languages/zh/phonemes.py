"""Mandarin characters to phonemes."""

import re

from data.text import HAN_LETTERS
from models.text.languages.zh.normalising import normalise
from models.text.languages.zh.pronouncing import pronounce
from models.text.languages.zh.syllables import symbols_of
from models.text.phonemes import Phonemes
from models.text.symbols import BOUNDARY, LANGUAGE_MARKS, PUNCTUATION

LONGEST_CLAUSE = 120
"""Characters that are read together; longer runs without a pause are divided."""

_CLAUSE = re.compile(rf"[{HAN_LETTERS}]{{1,{LONGEST_CLAUSE}}}|[,.?!;:—]")


def phonemize(text: str) -> Phonemes:
    """Phonemizes a stretch of Mandarin; drops everything but characters and punctuation."""
    found = Phonemes([LANGUAGE_MARKS["zh"]], [])
    for match in _CLAUSE.finditer(normalise(text)):
        if match[0] in PUNCTUATION:
            _mark(found, match[0])
            continue
        for word in pronounce(match[0]):
            if len(found.symbols) > 1:
                found.symbols.append(BOUNDARY)
            start = len(found.symbols)
            for number, syllable in enumerate(word.syllables):
                found.symbols.extend(symbols_of(syllable, number in word.rhotic))
            found.words.append((word.written, start, len(found.symbols)))
    return found


def _mark(found: Phonemes, mark: str) -> None:
    """Appends a pause, replacing a directly preceding one."""
    if found.symbols[-1] in PUNCTUATION:
        found.symbols[-1] = mark
    else:
        found.symbols.append(mark)
