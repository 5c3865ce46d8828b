"""The thinker's backbone: a small transformer over words, or a Hugging Face language model."""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.errors import InputError, MissingModelError
from models.kv_cache import KeyValues
from models.text.words import Words
from models.transformer import Transformer

_OLDEST = (5, 24)
_NEEDED = (
    "a Hugging Face backbone needs the transformers package; "
    "install it with: .venv/bin/pip install 'transformers>=5.24'"
)


class WordBackbone(nn.Module):
    """A decoder-only transformer over whole words, trained from scratch.

    Maps vectors `[B, L, dim]` to hidden states `[B, L, dim]`, causally. `past` is the KV cache of
    one dialogue, from `init_past`.
    """

    def __init__(
        self, words: tuple[str, ...], dim: int, depth: int, num_heads: int, ffn_dim: int
    ) -> None:
        super().__init__()
        self.words = Words(words)
        self.dim = dim
        self.embedding = nn.Embedding(len(self.words), dim)
        nn.init.normal_(self.embedding.weight, std=dim**-0.5)
        self.transformer = Transformer(dim, depth, num_heads, ffn_dim)

    def init_past(self) -> list[KeyValues]:
        weight = self.embedding.weight
        return self.transformer.init_state(1, weight.device, weight.dtype)

    def forward(self, vectors: Tensor, past: list[KeyValues] | None = None) -> Tensor:
        before = past[0].length if past else 0
        length = vectors.shape[1]
        index = torch.arange(length, device=vectors.device) + before
        return self.transformer(vectors, index, None, past)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeds tokens `[...]` as `[..., dim]`."""
        return self.embedding(tokens)

    @property
    def table(self) -> Tensor:
        """The embedding table, `[num_tokens, dim]`."""
        return self.embedding.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states `[..., dim]` to next-token logits `[..., num_tokens]`."""
        return F.linear(hidden, self.embedding.weight)

    def encode(self, text: str) -> list[int]:
        """Tokenizes a text."""
        return self.words.encode(text)

    def decode(self, tokens: list[int]) -> str:
        """Detokenizes to text."""
        return self.words.decode(tokens)

    def word(self, word: str) -> int | None:
        """The token of a spoken word; None if it is out of vocabulary."""
        return self.words.word(word)


class HuggingFaceBackbone(nn.Module):
    """A local causal language model of the `transformers` package.

    Same interface as `WordBackbone`, with the model's own tokenizer.

    Args:
        folder: with `config.json`, weights as safetensors and a tokenizer.

    Raises:
        MissingModelError: `transformers` is not installed.
        InputError: the folder has no causal language model.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        try:
            import transformers  # pyright: ignore[reportMissingImports]
            from transformers import (  # pyright: ignore[reportMissingImports]
                AutoModelForCausalLM,
                AutoTokenizer,
                DynamicCache,
            )
        except ImportError:
            raise MissingModelError(_NEEDED) from None
        if tuple(map(int, transformers.__version__.split(".")[:2])) < _OLDEST:
            raise MissingModelError(f"{_NEEDED} (there is {transformers.__version__})")
        if not (Path(folder) / "config.json").is_file():
            raise InputError(
                f"{folder} holds no config.json; give the folder of a Hugging Face causal "
                "language model"
            )
        try:
            only = {"local_files_only": True, "trust_remote_code": False}
            self.model: Any = AutoModelForCausalLM.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, **only
            )
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, **only)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{folder} is no causal language model: {error}") from None
        self._cache = DynamicCache
        self.dim: int = self.model.get_input_embeddings().weight.shape[1]

    def init_past(self) -> Any:
        return self._cache()

    def forward(self, vectors: Tensor, past: Any = None) -> Tensor:
        done = self.model.base_model(inputs_embeds=vectors, cache=past, use_cache=past is not None)
        return done.last_hidden_state

    def embed(self, tokens: Tensor) -> Tensor:
        return self.model.get_input_embeddings()(tokens)

    @property
    def table(self) -> Tensor:
        return self.model.get_input_embeddings().weight

    def logits(self, hidden: Tensor) -> Tensor:
        return self.model.get_output_embeddings()(hidden)

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def decode(self, tokens: list[int]) -> str:
        return self.tokenizer.decode(tokens, skip_special_tokens=True)

    def word(self, word: str) -> int | None:
        return next(iter(self.encode(f" {word}")), None)

    def save(self, folder: Path) -> None:
        """Saves the model and its tokenizer to a folder."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


Backbone = WordBackbone | HuggingFaceBackbone
