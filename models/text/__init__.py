"""Text to phoneme symbols: normalisation, sentence splitting, and the symbol inventory.

from models.text import SYMBOLS, normalise, phonemize, split_sentences, symbol_ids

phonemes = phonemize(["I have 42 of them."])[0]
phonemes.symbols   # ["<en-us>", "aɪ", " ", "h", "æ", "v", " ", ...]
phonemes.words     # [("I", 1, 2), ("have", 3, 6), ("42", 7, 17), ...]
"""

from models.text.frontend import language_of, normalise, phonemize
from models.text.phonemes import Phonemes
from models.text.scripts import check_scripts, read_as
from models.text.sentences import SentenceStream, split_sentences
from models.text.symbols import SYMBOLS, symbol_ids
from models.text.thoughts import Prompt, answer_of

__all__ = [
    "SYMBOLS",
    "Phonemes",
    "Prompt",
    "SentenceStream",
    "answer_of",
    "check_scripts",
    "language_of",
    "normalise",
    "phonemize",
    "read_as",
    "split_sentences",
    "symbol_ids",
]
