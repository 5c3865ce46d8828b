"""What the tokenizer hears in every utterance before it quantises it; kept beside the data."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from models.checkpoint import sha256
from models.mel import FRAME_SAMPLES
from models.tokenizers.semantic import SemanticTokenizer
from models.training.corpus import PREPARED, Corpus
from models.training.encoded import BATCH, kept, load_tokenizer
from models.training.loop import device


def encode_heard(root: Path, corpus: Corpus, weights: Path) -> list[np.ndarray]:
    """The continuous features of every utterance, float16 `[T, dim]`, under the tokenizer's
    checksum."""
    folder = root / PREPARED / f"heard-{sha256(weights / 'semantic.safetensors')[:16]}"
    tokenizer = load_tokenizer(weights).to(device())

    def make(_: str, indices: list[int]) -> list[np.ndarray]:
        return hear_utterances([corpus.utterances[i].samples for i in indices], tokenizer)

    return kept(folder, corpus, "listening", make)


def hear_utterances(sounds: list[np.ndarray], tokenizer: SemanticTokenizer) -> list[np.ndarray]:
    """The continuous features, float16 `[T, dim]`, of int16 sounds `[samples]`, in batches of like
    length."""
    order = sorted(range(len(sounds)), key=lambda i: len(sounds[i]))
    found: dict[int, np.ndarray] = {}
    where = device()
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        wide = [torch.from_numpy(sounds[i].astype(np.float32) / 32767) for i in chosen]
        padded = nn.utils.rnn.pad_sequence(wide, batch_first=True).to(where)
        with torch.inference_mode(), torch.autocast(where.type, torch.bfloat16):
            heard = tokenizer.hear(padded).half().cpu().numpy()
        for row, index in enumerate(chosen):
            found[index] = heard[row, : -(-len(sounds[index]) // FRAME_SAMPLES)]
    return [found[index] for index in range(len(sounds))]
