"""A text as the models read it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Phonemes:
    """A text as the models read it.

    Attributes:
        symbols: each one of `SYMBOLS`; the first is the language mark, words are separated by one
            boundary, punctuation stands directly behind its word. Only the mark when there is
            nothing to say.
        words: (written word, first symbol, one past its last symbol), in order. A written word
            may cover several spoken ones with the boundaries between them ("42").
    """

    symbols: list[str]
    words: list[tuple[str, int, int]]
