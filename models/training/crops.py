"""Random crops of utterances as padded tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data.audio.pcm import to_float
from models.mel import FRAME_SAMPLES, HOP_SAMPLES, MELS_PER_FRAME
from models.training.corpus import Corpus, Utterance


@dataclass
class Crop:
    """A crop of an utterance: `samples` float32 `[T]` and F0 in Hz `[T / 240]`."""

    utterance: Utterance
    first_frame: int
    num_frames: int

    @property
    def samples(self) -> np.ndarray:
        start = self.first_frame * FRAME_SAMPLES
        stop = start + self.num_frames * FRAME_SAMPLES
        piece = to_float(self.utterance.samples[start:stop])
        return np.pad(piece, (0, self.num_frames * FRAME_SAMPLES - len(piece)))

    @property
    def f0(self) -> np.ndarray:
        start = self.first_frame * MELS_PER_FRAME
        piece = self.utterance.f0[start : start + self.num_frames * MELS_PER_FRAME]
        piece = piece.astype(np.float32)
        return np.pad(piece, (0, self.num_frames * MELS_PER_FRAME - len(piece)))


def random_crop(generator: np.random.Generator, utterance: Utterance, num_frames: int) -> Crop:
    """A random crop of `num_frames`; shorter utterances are zero-padded."""
    room = max(0, utterance.num_frames - num_frames)
    return Crop(utterance, int(generator.integers(room + 1)), num_frames)


def another_of_voice(generator: np.random.Generator, corpus: Corpus, index: int) -> Utterance:
    """Another utterance of the same voice, or the same one if there is no other."""
    same = corpus.by_voice[corpus.utterances[index].voice]
    other = same[int(generator.integers(len(same)))]
    if other == index and len(same) > 1:
        other = same[(same.index(index) + 1) % len(same)]
    return corpus.utterances[other]


def stack(crops: list[Crop]) -> Tensor:
    """Samples of equally long crops, `[B, T]`."""
    return torch.from_numpy(np.stack([crop.samples for crop in crops]))


def interpolated_f0(f0: np.ndarray) -> np.ndarray:
    """F0 interpolated (in log) across unvoiced stretches."""
    voiced = np.flatnonzero(f0 > 0)
    if len(voiced) == 0:
        return np.full_like(f0, 148.0)
    logs = np.interp(np.arange(len(f0)), voiced, np.log(f0[voiced]))
    return np.exp(logs).astype(np.float32)


assert FRAME_SAMPLES == MELS_PER_FRAME * HOP_SAMPLES
