"""Random crops of frames, for training the renderers of codes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from models.predictors.units import neighbours
from models.training.configuration import Recipe, setting
from models.training.corpus import Corpus
from models.training.crops import Crop
from models.training.encoded import Encoded


@dataclass(frozen=True)
class FrameRecipe(Recipe):
    """Settings that both renderers of codes share."""

    batch: int = setting(16, "crops per step")
    crop_frames: int = setting(64, "frames of 40 ms in a crop")
    further_rate: float = setting(4e-4, "peak learning rate with --further")


@dataclass
class FrameCrops:
    """B crops of T frames.

    Attributes:
        crops, indices: the crops and the indices of their utterances.
        phones: symbols around the pointer, `[B, T, 3]`.
        style: style vector of another utterance of the voice, `[B, style_dim]`.
        valid: mask of frames inside the utterance, `[B, T]`.
    """

    crops: list[Crop]
    indices: list[int]
    phones: Tensor
    style: Tensor
    valid: Tensor

    def of(self, frames: Callable[[int], np.ndarray]) -> Tensor:
        """Crops the arrays `frames(index)` of the utterances, `[B, T, ...]`, zero-padded."""
        pieces = []
        for crop, index in zip(self.crops, self.indices, strict=True):
            found = frames(index)[crop.first_frame : crop.first_frame + crop.num_frames]
            padding = [(0, crop.num_frames - len(found)), *[(0, 0)] * (found.ndim - 1)]
            pieces.append(np.pad(found, padding))
        return torch.from_numpy(np.stack(pieces))


def frame_crops(
    generator: np.random.Generator, corpus: Corpus, encoded: list[Encoded], recipe: FrameRecipe
) -> FrameCrops:
    """Samples a batch."""
    batch, num_frames = recipe.batch, recipe.crop_frames
    indices = generator.integers(len(encoded), size=batch).tolist()
    phones = torch.zeros(batch, num_frames, 3, dtype=torch.long)
    valid = torch.zeros(batch, num_frames, dtype=torch.bool)
    crops, styles = [], []
    for row, index in enumerate(indices):
        utterance = corpus.utterances[index]
        # Make sure that some crops contain the start of speech.
        room = max(0, utterance.num_frames - num_frames)
        start = 0 if generator.random() < 0.2 else int(generator.integers(room + 1))
        crops.append(Crop(utterance, start, num_frames))
        pointer = encoded[index].pointer[start : start + num_frames].astype(np.int64)
        symbols = torch.tensor(utterance.units.symbols)
        phones[row, : len(pointer)] = neighbours(symbols, torch.from_numpy(pointer))
        valid[row, : len(pointer)] = True
        same = corpus.by_voice[utterance.voice]
        styles.append(encoded[same[int(generator.integers(len(same)))]].style)
    style = torch.from_numpy(np.stack(styles)).float()
    return FrameCrops(crops, indices, phones, style, valid)
