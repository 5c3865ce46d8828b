"""Trains the network of `sentence_ends` on dialogue texts.

    python -m data.recognition.sentence_ends_training dialogues.jsonl.gz ... [--out FILE]

Files are read by `data.synthetic.texts`. The training split is learned, and beside it dialogues of
`data.synthetic.grammar`, since people chat about more than the files do; the validation split
measures. Every end of a word is an example: either a sentence ends there or it goes on.
"""

import argparse
import json
import logging
import random
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from data.files import atomic_write
from data.recognition.sentence_ends import (
    LONGEST,
    SPECIAL,
    START,
    WEIGHTS,
    EndMember,
    EndNetwork,
    Vocabulary,
    read_tokens,
    unknown,
)
from data.synthetic.grammar import write_dialogue
from data.synthetic.texts import TextDialogue, read_texts
from data.text import HAN_LETTERS

# Tokens that the network knows: with more it learns the topics of the files by heart.
_NUM_TOKENS = 720
_BATCH, _EPOCHS, _LR = 128, 3, 3e-3
_NUM_WRITTEN = 5000  # dialogues of the grammar for each language
_MOST_OFTEN = 8  # times that a turn is read per epoch
_FORGOTTEN = 0.2  # share of words read as unknown ones: conversations have other topics
_SEEDS = (1, 2, 3, 4, 5)  # of the members
_GRAMMAR_SEED = 1

_SENTENCE = re.compile(r"[^.?!。？！]+")
_ANSWER = re.compile(
    rf"\s*(?:[a-zA-Z']+(?: [a-zA-Z']+)?,|[{HAN_LETTERS}]{{1,3}}[，,])"
)  # "Yes, ..." could have ended with its first word


class Turn(NamedTuple):
    """Tokens, the first START; whether a word ends with each, and whether a sentence does."""

    read: list[str]
    words: list[bool]
    sentences: list[bool]

    def up_to(self, num: int) -> "Turn":
        """The first tokens."""
        return Turn(self.read[:num], self.words[:num], self.sentences[:num])


def turns_of(dialogues: Iterable[TextDialogue], split: str) -> Iterator[Turn]:
    """The turns of a split. A short answer that begins a turn ("Yes, ...") is also one of its
    own."""
    for dialogue in dialogues:
        if dialogue.split == split:
            for line in dialogue.lines:
                for text in (line.text, *_ANSWER.findall(line.text)[:1]):
                    yield from _learned(text, dialogue.language)


def written_turns(num: int, language: str) -> Iterator[Turn]:
    """The turns of `num` dialogues that the grammar writes for the training split."""
    rng = random.Random(f"{_GRAMMAR_SEED} {language}")
    for _ in range(num):
        for line in write_dialogue(rng, "train", language)[1]:
            yield from _learned(line.text, language)


def _learned(text: str, language: str) -> Iterator[Turn]:
    """The turn of a text, up to the longest that is read; none if it has no words."""
    turn = turn_of(text, language)
    if len(turn.read) > 1:
        yield turn.up_to(LONGEST)


def turn_of(text: str, language: str) -> Turn:
    """The tokens of a text, and where its words and sentences end."""
    turn = Turn([START], [False], [False])
    for sentence in _SENTENCE.findall(text):
        for word in _words(sentence, language):
            turn.read.extend(word)
            turn.words.extend(n == len(word) - 1 for n in range(len(word)))
            turn.sentences.extend([False] * len(word))
        turn.sentences[-1] = len(turn.read) > 1
    return turn


def _words(text: str, language: str) -> list[list[str]]:
    """Words as lists of tokens: a Mandarin word has one per syllable."""
    pieces = _jieba_cut(text) if language == "zh" else [text]
    read = [read_tokens(piece)[1:] for piece in pieces]
    return [word for word in read if word] if language == "zh" else [[one] for one in read[0]]


def _jieba_cut(text: str) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba's own
        import jieba

    jieba.setLogLevel(logging.ERROR)
    return jieba.lcut(text)


def balanced(groups: Sequence[Sequence[Turn]]) -> list[Turn]:
    """The turns of all groups, those of smaller ones several times: else the network neglects
    them."""
    most = max(map(len, groups))
    return [turn for group in groups for _ in range(_share(most, group)) for turn in group]


def _share(most: int, group: Sequence[Turn]) -> int:
    return min(_MOST_OFTEN, round(most / max(1, len(group))))


def vocabulary_of(turns: Iterable[Turn]) -> Vocabulary:
    """The most frequent tokens."""
    counts = Counter(token for turn in turns for token in turn.read if token not in SPECIAL)
    frequent = sorted(counts, key=lambda token: (-counts[token], token))[:_NUM_TOKENS]
    return Vocabulary([*SPECIAL, *sorted(frequent)])


def tensors(
    turns: Sequence[Turn], vocabulary: Vocabulary, rng: random.Random | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """A batch: numbers `[B, T]`, whether a sentence ends `[B, T]`, and which places count `[B, T]`.

    Args:
        rng: if given, some words are replaced by unknown ones.
    """
    length = max(len(turn.read) for turn in turns)
    numbers = torch.zeros(len(turns), length, dtype=torch.long)
    ended, counts = torch.zeros(len(turns), length), torch.zeros(len(turns), length)
    for row, turn in enumerate(turns):
        read = turn.read if rng is None else [_forgotten(token, rng) for token in turn.read]
        numbers[row, : len(read)] = torch.tensor(vocabulary.numbers(read))
        counts[row, : len(read)] = torch.tensor(turn.words)
        ended[row, : len(read)] = torch.tensor(turn.sentences)
    return numbers, ended, counts


def _forgotten(token: str, rng: random.Random) -> str:
    if token in SPECIAL or rng.random() >= _FORGOTTEN:
        return token
    return unknown(token)


def train(
    turns: Sequence[Turn], epochs: int = _EPOCHS, seeds: Sequence[int] = _SEEDS
) -> tuple[EndNetwork, Vocabulary]:
    """Trains a network with a member for each seed."""
    vocabulary = vocabulary_of(turns)
    network = EndNetwork([_member(turns, vocabulary, epochs, seed) for seed in seeds])
    return network.eval(), vocabulary


def _member(turns: Sequence[Turn], vocabulary: Vocabulary, epochs: int, seed: int) -> EndMember:
    """A member; the seed determines it."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    network = EndMember(len(vocabulary.known))
    optimizer = torch.optim.Adam(network.parameters(), _LR)
    by_length = sorted(turns, key=lambda turn: len(turn.read))
    batches = [by_length[at : at + _BATCH] for at in range(0, len(by_length), _BATCH)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LR, epochs * len(batches))
    for epoch in range(epochs):
        total = 0.0
        for batch in rng.sample(batches, len(batches)):
            numbers, ended, counts = tensors(batch, vocabulary, rng)
            loss = binary_cross_entropy_with_logits(network(numbers), ended, counts)
            loss = loss * counts.numel() / counts.sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        print(f"seed {seed}, epoch {epoch + 1}: loss {total / len(batches):.4f}", flush=True)
    return network


@torch.inference_mode()
def area_under_curve(network: EndNetwork, vocabulary: Vocabulary, turns: Sequence[Turn]) -> float:
    """How well the network tells ends of sentences from other ends of words: 0.5 not at all, 1
    surely."""
    odds, ended = [], []
    for turn in turns:
        numbers, end, counts = tensors([turn], vocabulary)
        kept = counts[0] > 0
        odds += network(numbers)[0, kept].tolist()
        ended += end[0, kept].tolist()
    return float(roc_auc_score(ended, odds))


def write(network: EndNetwork, vocabulary: Vocabulary, weights: Path) -> None:
    """Writes the network in half precision, with its vocabulary."""
    state = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    tokens = json.dumps(vocabulary.known, ensure_ascii=False)
    metadata = {"tokens": tokens, "members": str(len(network.members))}
    atomic_write(weights, save(state, metadata))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("texts", type=Path, nargs="+", help="dialogues, JSONL, plain or gzip")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="file (default: the one in use)")
    args = parser.parse_args()
    dialogues = list(read_texts(args.texts))
    by_language: dict[str, list[TextDialogue]] = {}
    for dialogue in dialogues:
        by_language.setdefault(dialogue.language, []).append(dialogue)
    turns = balanced([list(turns_of(some, "train")) for some in by_language.values()])
    for language in by_language:
        turns += written_turns(_NUM_WRITTEN, language)
    network, vocabulary = train(turns)
    write(network, vocabulary, args.out)
    print(f"{len(vocabulary.known)} tokens in {args.out}")
    for language, some in by_language.items():
        held_out = list(turns_of(some, "validation"))
        if held_out:
            area = area_under_curve(network, vocabulary, held_out)
            print(f"{language}: AUC {area:.3f} in {len(held_out)} turns of the validation split")


if __name__ == "__main__":
    main()
