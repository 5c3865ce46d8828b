"""Pointer units: what the phoneme pointer moves over.

The frontend's symbols carry stress marks and word boundaries as symbols of their own; they have no
duration. A unit is a symbol that can have one: a phone with its stress and whether it starts a
word, a punctuation mark (its pause), or the language mark (the silence before speech).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.text import SYMBOLS, Phonemes, phonemize
from models.text.symbols import BOUNDARY, IDS, LANGUAGE_MARKS, PAD, PUNCTUATION

_STRESS = {"ˈ": 1, "ˌ": 2}
_WITHOUT_STRESS = frozenset((*PUNCTUATION, *LANGUAGE_MARKS.values()))
# Symbols that are not phones: punctuation and those in angle brackets.
MARKS = frozenset(i for i, s in enumerate(SYMBOLS) if s in PUNCTUATION or s.startswith("<"))
NUM_STRESSES = 3
UNITS_BEFORE, AROUND = 3, 8  # window of `units_around`: units before the pointer, and in all


@dataclass(frozen=True)
class Units:
    """A text as pointer units.

    `symbols`, `stress` (0 none, 1 primary, 2 secondary) and `starts` (1: first of a word) have one
    entry per unit; `words` are (written word, first unit, one past its last unit).
    """

    symbols: tuple[int, ...]
    stress: tuple[int, ...]
    starts: tuple[int, ...]
    words: tuple[tuple[str, int, int], ...]

    def __len__(self) -> int:
        return len(self.symbols)

    @property
    def fields(self) -> Tensor:
        """`[N, 3]`: symbol, stress, word start."""
        return torch.tensor([self.symbols, self.stress, self.starts]).T.contiguous()


def units_of(phonemes: Phonemes) -> Units:
    """Converts phonemes to units, with the language mark first and a closing mark last.

    A later mark, where the language changes, is a unit like punctuation.
    """
    symbols, stress, starts = [], [], []
    position = [0] * (len(phonemes.symbols) + 1)  # first unit at or after each symbol
    pending_stress, pending_start = 0, 1
    for index, symbol in enumerate(phonemes.symbols):
        position[index] = len(symbols)
        if symbol in _STRESS:
            pending_stress = _STRESS[symbol]
        elif symbol == BOUNDARY:
            pending_start = 1
        elif symbol != PAD:
            mark = symbol in _WITHOUT_STRESS
            symbols.append(IDS[symbol])
            stress.append(0 if mark else pending_stress)
            starts.append(0 if mark else pending_start)
            pending_stress, pending_start = 0, int(mark)
    position[len(phonemes.symbols)] = len(symbols)
    if SYMBOLS[symbols[-1]] not in PUNCTUATION:
        symbols.append(IDS["."])
        stress.append(0)
        starts.append(0)
    words = tuple((word, position[a], position[b]) for word, a, b in phonemes.words)
    return Units(tuple(symbols), tuple(stress), tuple(starts), words)


def pieces_of(units: Units, most: int) -> list[Units]:
    """Splits units into pieces of at most `most`, each starting with the language mark; cuts at
    word starts, or inside a word that is longer than a piece."""
    if len(units) <= most:
        return [units]
    pieces, start = [], 1
    while start < len(units):
        limit = min(len(units), start + most - 1)
        end = limit
        while end < len(units) and end > start and not units.starts[end]:
            end -= 1
        end = end if end > start else limit
        words = tuple(
            (word, first - start + 1, min(last, end) - start + 1)
            for word, first, last in units.words
            if start <= first < end
        )
        pieces.append(
            Units(
                units.symbols[:1] + units.symbols[start:end],
                units.stress[:1] + units.stress[start:end],
                units.starts[:1] + units.starts[start:end],
                words,
            )
        )
        start = end
    return pieces


def units_of_text(text: str, language: str | None = "en-us") -> Units:
    """Units of a normalised text; `no_text` if it is empty. For `language` see `phonemize`."""
    return units_of(phonemize([text], language)[0]) if text else no_text()


def no_text(language: str = "en-us") -> Units:
    """Placeholder for a turn with unknown words; `language` is a key of `LANGUAGE_MARKS`."""
    return Units((IDS[LANGUAGE_MARKS[language]],), (0,), (0,), ())


def valid_units(lengths: Tensor, count: int) -> Tensor:
    """Padding mask `[S, count]` of texts with `lengths` `[S]`."""
    return torch.arange(count, device=lengths.device)[None] < lengths[:, None]


def units_around(units: Tensor) -> Tensor:
    """The window of units around each unit of a sentence `[N, 3]`, symbol and stress combined,
    `[N, AROUND]`; 0 outside the text."""
    numbers = torch.nn.functional.pad(
        NUM_STRESSES * units[:, 0] + units[:, 1], (UNITS_BEFORE, AROUND - 1 - UNITS_BEFORE)
    )
    return numbers.unfold(0, AROUND, 1)


def neighbours(symbols: Tensor, pointer: Tensor) -> Tensor:
    """The symbols before, under and after the pointer at each frame.

    Args:
        symbols: `[N]`.
        pointer: `[T]`.

    Returns:
        `[T, 3]`; 0, the padding symbol, beyond the text.
    """
    padded = torch.nn.functional.pad(symbols, (1, 1))
    return torch.stack([padded[pointer], padded[pointer + 1], padded[pointer + 2]], dim=-1)
