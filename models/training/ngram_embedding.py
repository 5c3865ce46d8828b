"""Word embeddings with letter n-grams, so that similarly spelled words share what they learn."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

_LONGEST = 4
_AT_LEAST = 2  # words per n-gram; rarer ones have nothing to share


class NgramEmbedding(nn.Module):
    """Adds the embeddings of a word's letter n-grams to its own (fastText, arXiv 1607.04606,
    section 3.2), for training only; rare words profit from similar ones.
    """

    offsets: Tensor
    grams: Tensor

    def __init__(self, words: tuple[str, ...], dim: int) -> None:
        super().__init__()
        held: dict[str, int] = {}
        for word in words:
            for gram in _grams(word):
                held[gram] = held.get(gram, 0) + 1
        index = {gram: i for i, gram in enumerate(g for g, n in held.items() if n >= _AT_LEAST)}
        found = [[index[g] for g in _grams(word) if g in index] for word in words]
        starts = torch.tensor([len(row) for row in found]).cumsum(0)
        self.register_buffer("offsets", F.pad(starts, (1, 0))[:-1], persistent=False)
        flat = torch.tensor([gram for row in found for gram in row])
        self.register_buffer("grams", flat, persistent=False)
        self.table = nn.Embedding(len(index), dim)
        nn.init.zeros_(self.table.weight)

    def forward(self, weight: Tensor) -> Tensor:
        bags = F.embedding_bag(self.grams, self.table.weight, self.offsets, mode="mean")
        return weight + bags


def add_ngrams(embedding: nn.Embedding, words: tuple[str, ...]) -> None:
    """Adds n-grams to the embedding of `words`, one word per row."""
    parametrize.register_parametrization(
        embedding, "weight", NgramEmbedding(words, embedding.embedding_dim)
    )


def fold_ngrams(embedding: nn.Embedding) -> None:
    """Folds the n-grams into plain embeddings of the same values."""
    parametrize.remove_parametrizations(embedding, "weight")


def _grams(word: str) -> set[str]:
    letters = f"<{word.lower()}>"
    return {
        letters[i : i + size]
        for size in range(2, _LONGEST + 1)
        for i in range(len(letters) - size + 1)
    }
