"""Counts after which words sentences end, and writes the table of `sentence_ends`.

    python -m data.recognition.sentence_ends_training dialogues.jsonl.gz ...

Files are read by `data.synthetic.texts`; only dialogues of the training split count.
"""

import argparse
import json
import logging
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from data.files import atomic_write
from data.recognition.sentence_ends import LONGEST, START, TABLE, UNKNOWN, look_up, tokens
from data.synthetic.texts import TextDialogue, read_texts
from data.text import HAN_LETTERS

_SENTENCE = re.compile(r"[^.?!。？！]+")
_ANSWER = re.compile(
    rf"\s*(?:[a-zA-Z']+(?: [a-zA-Z']+)?,|[{HAN_LETTERS}]{{1,3}}[，,])"
)  # "Yes, ..." could have ended with its first word
_FEWEST = (5, 12, 12)  # occurrences of one, two and three words in the table
_RARE = 5  # unknown words end a sentence as often as those with at most as many occurrences
_SMOOTHING = 20.0  # occurrences that the shorter context counts for: the texts are of few topics
_DIFFERENCE = 0.5  # least difference of the log odds from those of the shorter context
_LIMITS = (0.02, 0.98)


def counted(sentences: Iterable[tuple[str, str]]) -> tuple[Counter[str], Counter[str]]:
    """How often up to `LONGEST` words occur, and how often a sentence ends with them.

    Args:
        sentences: pairs of language and text.
    """
    total: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    for language, sentence in sentences:
        said, last = [START], []
        for word in _words(sentence, language):
            said += word
            last = [" ".join(said[-num:]) for num in range(1, min(LONGEST, len(said)) + 1)]
            total.update(last)
        ends.update(last)
    return total, ends


def table(total: Counter[str], ends: Counter[str]) -> dict[str, float]:
    """Log odds by words, where they differ from those of the same words without the first."""
    found: dict[str, float] = {}
    for kind, name in UNKNOWN.items():
        rare = [
            words for words, num in total.items()
            if num <= _RARE and " " not in words and words.isascii() == (kind == "word")
        ]  # fmt: skip
        num_ends, num = sum(ends[one] for one in rare), sum(total[one] for one in rare)
        found[name] = round(_log_odds((num_ends + 1) / (num + 2)), 1)
    for length, fewest in enumerate(_FEWEST, 1):
        longer = {}
        for words, num in total.items():
            if num < fewest or words.count(" ") != length - 1:
                continue
            shorter = look_up(found, words.split(" ")[-max(1, length - 1) :])
            share = 1 / (1 + math.exp(-shorter))
            odds = _log_odds((ends[words] + _SMOOTHING * share) / (num + _SMOOTHING))
            if abs(odds - shorter) >= _DIFFERENCE:
                longer[words] = round(odds, 1)
        found |= longer
    return found


def _log_odds(share: float) -> float:
    share = min(max(share, _LIMITS[0]), _LIMITS[1])
    return math.log(share / (1 - share))


def _words(sentence: str, language: str) -> Iterator[list[str]]:
    """Words as lists of tokens: a Mandarin word has one per character."""
    if language == "zh":
        pieces = _jieba_cut(sentence)
        yield from (found for piece in pieces if (found := tokens(piece)))
    else:
        yield from ([token] for token in tokens(sentence))


def _jieba_cut(sentence: str) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba's own
        import jieba

    jieba.setLogLevel(logging.ERROR)
    return jieba.lcut(sentence)


def sentences(dialogues: Iterable[TextDialogue]) -> Iterator[tuple[str, str]]:
    """Pairs of language and sentence of the training split; a short answer that begins a sentence
    ("Yes, ...") also counts as a sentence of its own."""
    for dialogue in dialogues:
        if dialogue.split == "train":
            for line in dialogue.lines:
                for sentence in _SENTENCE.findall(line.text):
                    yield dialogue.language, sentence
                    if answer := _ANSWER.match(sentence):
                        yield dialogue.language, answer[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("texts", type=Path, nargs="+", help="dialogues, JSONL, plain or gzip")
    args = parser.parse_args()
    found = table(*counted(sentences(read_texts(args.texts))))
    text = json.dumps(dict(sorted(found.items())), ensure_ascii=False, separators=(",\n", ":"))
    atomic_write(TABLE, text.encode() + b"\n")
    print(f"{len(found)} entries in {TABLE}")


if __name__ == "__main__":
    main()
