"""Recipe: the bundled voices, each the mean style of many utterances of a training voice."""

from pathlib import Path

import torch
from torch import nn

from data.errors import InputError
from models.training.corpus import Corpus
from models.training.encoded import encode_corpus
from models.voice import Voice, save_voices

UTTERANCES = 60


def make_voices(root: Path, corpus: Corpus, out: Path, names: dict[str, tuple[str, str]]) -> None:
    """Writes `voices.safetensors` and `voices.json`.

    Args:
        root: the data set.
        corpus: its prepared utterances.
        out: where the style encoder lies and the voices are written.
        names: voice of the corpus to (name, description).

    Raises:
        InputError: none of the voices is in the corpus.
    """
    encoded = encode_corpus(root, corpus, out)
    voices: dict[str, Voice] = {}
    for key, (name, description) in names.items():
        rows = corpus.by_voice.get(key, [])[:UTTERANCES]
        if rows:
            styles = torch.stack([torch.from_numpy(encoded[row].style).float() for row in rows])
            mean = styles.mean(0)
            voices[name] = Voice(name, description, nn.functional.layer_norm(mean, mean.shape))
    if not voices:
        raise InputError(f"the data holds none of the voices {sorted(names)}")
    save_voices(out, voices)
