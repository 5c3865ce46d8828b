"""How likely a sentence ends with the words so far: "what do you want" often, "what do you" seldom.

Small recurrent networks, trained on written dialogues by
`python -m data.recognition.sentence_ends_training`. They read the words of the turn,
without punctuation; Mandarin by syllable without tones, since Whisper writes homophones.
"""

import functools
import json
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from pypinyin import lazy_pinyin
from safetensors import safe_open
from torch import Tensor, nn

from data.text import HAN_LETTERS

WEIGHTS = Path(__file__).with_name("sentence_ends.safetensors")
LONGEST = 60  # last words or syllables read
START, NUMBER = "^", "#"
UNKNOWN = {"word": "*", "syllable": "＊"}
"""Entries for all rare words and syllables."""
SPECIAL = (START, NUMBER, *UNKNOWN.values())
_TOKEN = re.compile(rf"[a-z0-9][a-z0-9']*|[{HAN_LETTERS}]")
# Fillers, conjunctions, and the marks that Whisper writes where a voice trails off.
_FILLER = r"\bu[hm]+|\ber+m?|\bh?m+|[嗯呃额]|那个|那個"
_CONJUNCTION = (
    r"\b(?:and|but|or|because|if)|因为|因為|所以|但是|可是|如果|虽然|雖然|而且|或者|"
    "还有|還有|然后|然後"
)
_TRAILING_OFF = re.compile(
    rf"(?:{_FILLER}|{_CONJUNCTION}|[,，、\-—])[.?!。？！\s]*$|(?:\.\.\.|…)\s*$", re.IGNORECASE
)
_HAN = re.compile(rf"[{HAN_LETTERS}](?: ?[{HAN_LETTERS}])*")
_SPOKEN_FILLER = re.compile(r"u[hm]+|er+m?|h?m+|[嗯呃额]")
_NEVER, _LIMIT = -5.0, 4.0


class EndMember(nn.Module):
    """Tokens `[B, T]` to the log odds `[B, T]` that a sentence ends after each."""

    def __init__(self, num_tokens: int, dim: int = 48, memory: int = 96) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, dim)
        self.recurrent = nn.GRU(dim, memory, batch_first=True)
        self.head = nn.Linear(memory, 1)

    def forward(self, numbers: Tensor) -> Tensor:
        return self.head(self.recurrent(self.embedding(numbers))[0])[..., 0]


class EndNetwork(nn.Module):
    """The mean of several members, as `EndMember`: trainings that differ only by their seed judge
    single sentences differently.

    Args:
        members: the networks.
    """

    def __init__(self, members: Sequence[EndMember]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, numbers: Tensor) -> Tensor:
        return torch.stack([member(numbers) for member in self.members]).mean(0)


class Vocabulary:
    """The network's tokens; rare words and syllables share an entry each.

    Args:
        known: all entries in order, those of `SPECIAL` first.
    """

    def __init__(self, known: Sequence[str]) -> None:
        self.known = tuple(known)
        self._numbers = {token: number for number, token in enumerate(known)}

    def numbers(self, words: Sequence[str]) -> list[int]:
        """The entries of tokens."""
        return [self._number(word) for word in words]

    def _number(self, word: str) -> int:
        found = self._numbers.get(NUMBER if any(map(str.isdigit, word)) else word)
        if found is None:
            found = self._numbers[unknown(word)]
        return found


def unknown(token: str) -> str:
    """The entry that a token shares with others of its kind if it is rare."""
    return UNKNOWN["syllable" if token.isupper() else "word"]


def tokens(text: str) -> list[str]:
    """Lower-case words and Han characters."""
    return _TOKEN.findall(text.lower())


def read_tokens(text: str) -> list[str]:
    """The tokens that the network reads: without fillers, after a start mark; Mandarin syllables in
    upper case."""
    said = " ".join(word for word in tokens(text) if not _SPOKEN_FILLER.fullmatch(word))
    pieces = _HAN.sub(lambda han: f" {_syllables(han.group())} ", said).split()
    return [START, *pieces][-LONGEST:]


def _syllables(han: str) -> str:
    return " ".join(lazy_pinyin(han.replace(" ", ""))).upper()


@functools.lru_cache(256)  # a pause asks for the same text again and again
def end_log_odds(text: str) -> float | None:
    """The log odds that a sentence ends after the last words of a text; None if it has no words."""
    if not tokens(text):
        return None
    if trails_off(text):
        return _NEVER
    network, vocabulary = load_sentence_ends()
    with torch.inference_mode():
        odds = network(torch.tensor([vocabulary.numbers(read_tokens(text))]))
    return min(max(float(odds[0, -1]), -_LIMIT), _LIMIT)


def trails_off(text: str) -> bool:
    """Whether a text ends with a filler, a conjunction or a mark of an unfinished sentence."""
    return bool(_TRAILING_OFF.search(text))


@functools.cache
def load_sentence_ends(weights: Path = WEIGHTS) -> tuple[EndNetwork, Vocabulary]:
    """Loads the trained network."""
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
        vocabulary = Vocabulary(json.loads(metadata["tokens"]))
        state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    members = [EndMember(len(vocabulary.known)) for _ in range(int(metadata["members"]))]
    network = EndNetwork(members)
    network.load_state_dict(state)
    return network.eval(), vocabulary
