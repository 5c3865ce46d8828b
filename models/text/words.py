"""A word vocabulary with letters as fallback: text to tokens and back."""

import re
from collections import Counter
from collections.abc import Iterable

_PIECE = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*(?:(?<=s)'(?!\w))?|[0-9]+|\S")
_WORD = re.compile(r"[A-Za-z]")
_NO_SPACE_BEFORE = frozenset(".,?!;:%")
_SENTENCE_ENDS = frozenset(".?!")
# Marks the letters of a spelt word after the first.
_CONTINUES = "+"
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz0123456789'-.,?!;:%&$")
_SPELLING = (*LETTERS, *(_CONTINUES + letter for letter in LETTERS))


def num_pieces(text: str) -> int:
    """How many words, numbers and signs a text has; a Chinese character is one."""
    return len(_PIECE.findall(text))


class Words:
    """Tokenizer over words.

    A word is one token if it is in the vocabulary, else its letters. The first word of a sentence
    is looked up in lower case and capitalised again when decoding.

    Args:
        words: the vocabulary; letters precede it.
    """

    def __init__(self, words: tuple[str, ...]) -> None:
        self.tokens = (*_SPELLING, *words)
        self._index = {token: index for index, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        """Tokenizes a text; drops signs that are neither letters nor in the vocabulary."""
        found: list[int] = []
        first = True
        for piece in _PIECE.findall(text):
            found += self._piece(piece, first)
            if _WORD.match(piece):
                first = False
            elif piece in _SENTENCE_ENDS:
                first = True
        return found

    def word(self, word: str) -> int | None:
        """The token of a word, ignoring case; None if it must be spelt."""
        for form in (word, word.lower(), word.capitalize()):
            if form in self._index:
                return self._index[form]
        return None

    def pieces(self, tokens: Iterable[int]) -> list[str]:
        """The text that each token adds; concatenated they are the whole text."""
        found: list[str] = []
        first = True
        for token in tokens:
            written = self.tokens[token]
            if len(written) == 2 and written[0] == _CONTINUES:
                found.append(written[1])
                continue
            word = written[0].upper() + written[1:] if first else written
            space = found and written not in _NO_SPACE_BEFORE
            found.append(f" {word}" if space else word)
            if _WORD.match(written):
                first = False
            elif written in _SENTENCE_ENDS:
                first = True
        return found

    def decode(self, tokens: Iterable[int]) -> str:
        """Detokenizes to text."""
        return "".join(self.pieces(tokens))

    def _piece(self, piece: str, first: bool) -> list[int]:
        forms = (piece.lower(), piece) if first else (piece, piece.lower())
        for form in forms:
            if form in self._index:
                return [self._index[form]]
        letters = [letter for letter in piece.lower() if letter in LETTERS]
        marked = letters[:1] + [_CONTINUES + letter for letter in letters[1:]]
        return [self._index[letter] for letter in marked]


def vocabulary(texts: Iterable[str], at_least: int = 2) -> tuple[str, ...]:
    """The words that occur at least `at_least` times in `texts`, most frequent first.

    Words that occur only at sentence starts are stored in lower case.
    """
    inside: Counter[str] = Counter()
    starting: Counter[str] = Counter()
    for text in texts:
        first = True
        for piece in _PIECE.findall(text):
            if _WORD.match(piece):
                (starting if first else inside)[piece] += 1
                first = False
            elif piece in _SENTENCE_ENDS:
                first = True
    for word, count in starting.items():
        known = word if word in inside and word.lower() not in inside else word.lower()
        inside[known] += count
    kept = [word for word, count in inside.most_common() if count >= at_least]
    return tuple(word for word in kept if len(word) > 1 or word in ("I", "a"))
