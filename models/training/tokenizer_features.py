"""What the tokenizer hears in every utterance before it quantises it; kept beside the data.

Once as it was said, and in copies as others would have said it, somewhere else: played faster or
slower, which scales formants and pitch as well (Ko et al., "Audio augmentation for speech
recognition", Interspeech 2015), and recorded in rooms and noise.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from data.audio import resample
from data.audio.pcm import to_float, to_int16
from models.checkpoint import sha256
from models.mel import SAMPLE_RATE, num_frames
from models.precision import autocast
from models.tokenizers.semantic import SemanticTokenizer, load_tokenizer
from models.training.corpus import PREPARED, Corpus, Utterance
from models.training.encoded import BATCH, kept
from models.training.loop import device
from models.training.room_augmentation import recorded

_FASTEST = 1.18  # and the slowest is as far below 1
_AS_SAID = 0


def encode_heard(
    root: Path, corpus: Corpus, weights: Path, copy: int = _AS_SAID
) -> list[np.ndarray]:
    """The continuous features of every utterance, float16 `[T, dim]`, under the tokenizer's
    checksum; of the `copy`-th copy `[T / speed_of(...), dim]`."""
    mark = f"-{copy}" if copy else ""
    folder = root / PREPARED / f"heard-{sha256(weights / 'semantic.safetensors')[:16]}{mark}"
    tokenizer = load_tokenizer(weights).to(device())

    def make(_: str, indices: list[int]) -> list[np.ndarray]:
        sounds = [_copied(corpus.utterances[i], copy) for i in indices]
        return hear_utterances(sounds, tokenizer)

    return kept(folder, corpus, "listening", make, lambda u: num_frames(_length(u, copy)))


def speed_of(utterance: Utterance, copy: int) -> float:
    """How much faster a copy is than what was said."""
    if copy == _AS_SAID:
        return 1.0
    return _speed(_chance(utterance, copy))


def _speed(chance: np.random.Generator) -> float:
    return float(_FASTEST ** chance.uniform(-1, 1))


def _copied(utterance: Utterance, copy: int) -> np.ndarray:
    """Samples of a copy, int16; the same whenever they are made."""
    if copy == _AS_SAID:
        return utterance.samples
    chance = _chance(utterance, copy)
    speed = _speed(chance)
    wide = resample(to_float(utterance.samples), SAMPLE_RATE * speed, SAMPLE_RATE)
    length = _length(utterance, copy)  # the resampler's may differ by one
    wide = np.pad(wide[:length], (0, max(0, length - len(wide))))
    heard = recorded(torch.from_numpy(wide)[None], chance)[0]
    return to_int16((heard / heard.abs().max().clamp_min(1.0)).numpy())


def _chance(utterance: Utterance, copy: int) -> np.random.Generator:
    return np.random.default_rng([copy, utterance.turn, *utterance.dialogue.encode()])


def _length(utterance: Utterance, copy: int) -> int:
    return round(len(utterance.samples) / speed_of(utterance, copy))


def hear_utterances(sounds: list[np.ndarray], tokenizer: SemanticTokenizer) -> list[np.ndarray]:
    """The continuous features, float16 `[T, dim]`, of int16 sounds `[samples]`, in batches of like
    length."""
    order = sorted(range(len(sounds)), key=lambda i: len(sounds[i]))
    found: dict[int, np.ndarray] = {}
    where = device()
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        wide = [torch.from_numpy(to_float(sounds[i])) for i in chosen]
        padded = nn.utils.rnn.pad_sequence(wide, batch_first=True).to(where)
        with torch.inference_mode(), autocast(where):
            heard = tokenizer.continuous_features(padded).half().cpu().numpy()
        for row, index in enumerate(chosen):
            found[index] = heard[row, : num_frames(len(sounds[index]))]
    return [found[index] for index in range(len(sounds))]
