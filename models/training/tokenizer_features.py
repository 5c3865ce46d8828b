"""The tokenizer's features of every utterance before quantisation; cached beside the data.

Besides the original there are augmented copies: played faster or slower, which also scales formants
and pitch (Ko et al., "Audio augmentation for speech recognition", Interspeech 2015), and recorded
in rooms and noise.
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
from models.training.encoded import BATCH, cached
from models.training.loop import device
from models.training.room_augmentation import simulate_recording

_FASTEST = 1.18  # the slowest is its reciprocal
_ORIGINAL = 0


def encode_features(
    root: Path, corpus: Corpus, weights: Path, copy: int = _ORIGINAL
) -> list[np.ndarray]:
    """Continuous features of every utterance, float16 `[T, dim]`, cached under the tokenizer's
    checksum; of an augmented `copy`, `[T / speed_of(...), dim]`."""
    mark = f"-{copy}" if copy else ""
    folder = root / PREPARED / f"heard-{sha256(weights / 'semantic.safetensors')[:16]}{mark}"
    tokenizer = load_tokenizer(weights).to(device())

    def make(_: str, indices: list[int]) -> list[np.ndarray]:
        sounds = [_copied(corpus.utterances[i], copy) for i in indices]
        return utterance_features(sounds, tokenizer)

    return cached(folder, corpus, "listening", make, lambda u: num_frames(_length(u, copy)))


def speed_of(utterance: Utterance, copy: int) -> float:
    """Playback speed of a copy relative to the original."""
    if copy == _ORIGINAL:
        return 1.0
    return _speed(_chance(utterance, copy))


def _speed(chance: np.random.Generator) -> float:
    return float(_FASTEST ** chance.uniform(-1, 1))


def _copied(utterance: Utterance, copy: int) -> np.ndarray:
    """Samples of a copy, int16; deterministic."""
    if copy == _ORIGINAL:
        return utterance.samples
    chance = _chance(utterance, copy)
    speed = _speed(chance)
    wide = resample(to_float(utterance.samples), SAMPLE_RATE * speed, SAMPLE_RATE)
    length = _length(utterance, copy)  # the resampler may be off by one
    wide = np.pad(wide[:length], (0, max(0, length - len(wide))))
    heard = simulate_recording(torch.from_numpy(wide)[None], chance)[0]
    return to_int16((heard / heard.abs().max().clamp_min(1.0)).numpy())


def _chance(utterance: Utterance, copy: int) -> np.random.Generator:
    return np.random.default_rng([copy, utterance.turn, *utterance.dialogue.encode()])


def _length(utterance: Utterance, copy: int) -> int:
    return round(len(utterance.samples) / speed_of(utterance, copy))


def utterance_features(sounds: list[np.ndarray], tokenizer: SemanticTokenizer) -> list[np.ndarray]:
    """Continuous features, float16 `[T, dim]`, of int16 sounds `[samples]`, in batches of similar
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
