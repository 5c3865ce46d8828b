"""A text as phonemes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phonemes:
    """A text as phonemes.

    Attributes:
        symbols: elements of `SYMBOLS`; the first is the language mark, words are separated by one
            boundary, punctuation directly follows its word. Only the mark if there is nothing to
            speak.
        words: (written word, first symbol, one past its last symbol), in order. A written word
            may span several spoken ones and the boundaries between them ("42").
    """

    symbols: list[str]
    words: list[tuple[str, int, int]]
