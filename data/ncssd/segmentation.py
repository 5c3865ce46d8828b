"""The segmentation network: which of three local voices are active in each 20 ms frame.

It processes windows of 10 s and numbers the voices in each arbitrarily; embeddings identify them
across a scene afterwards (`speakers`). It detects speaker changes without a pause, and overlaps.
Powerset classes after Plaquet and Bredin (2023), "Powerset multi-class cross entropy loss for
neural speaker diarization"; trained by `segmentation_training` on simulated recordings.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data.audio.features import RATE, harmonics, mel_power
from data.ncssd.network_files import load_network
from data.ncssd.powerset import CLASSES, renumbered

WEIGHTS = Path(__file__).parent / "weights" / "segmentation.safetensors"
WINDOW = 500  # frames per window, 10 s
_EDGE = 60  # windows overlap by twice as many frames, 2.4 s
_BATCH = 8


@dataclass(frozen=True)
class SegmentationConfig:
    """Shape of the network."""

    num_mels: int = 40
    num_bins: int = 128  # of the harmonic features, 15.6 Hz each, from 62 Hz
    wide: int = 160  # channels of the convolutions
    dim: int = 104  # LSTM size per direction
    num_layers: int = 3

    @property
    def num_inputs(self) -> int:
        return 2 * self.num_mels + self.num_bins


class Segmentation(nn.Module):
    """Frames `[B, T, num_inputs]` at 50 Hz to logits `[B, T, 7]` of the `CLASSES`; T must be a
    multiple of 4.

    A bidirectional LSTM runs at 80 ms per step and predicts four frames at each. Offline only.
    """

    def __init__(self, config: SegmentationConfig) -> None:
        super().__init__()
        wide, dim = config.wide, config.dim
        self.config = config
        self.front = nn.Sequential(
            nn.Conv1d(config.num_inputs, wide, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(wide, wide, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv1d(wide, dim, 4, stride=2, padding=1),
        )
        self.norm = nn.LayerNorm(dim)
        self.recurrent = nn.LSTM(dim, dim, config.num_layers, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * dim, 4 * len(CLASSES))

    def forward(self, frames: Tensor) -> Tensor:
        hidden = self.front(frames.transpose(1, 2)).transpose(1, 2)
        hidden = self.recurrent(torch.relu(self.norm(hidden)))[0]
        return self.head(hidden).reshape(frames.shape[0], -1, len(CLASSES))


def frames_of(samples: np.ndarray, config: SegmentationConfig) -> np.ndarray:
    """Samples `[T]` at 16 kHz to level-normalised frames `[T // 320, num_inputs]`.

    Log mel frames show speech and its boundaries, harmonic features show overlapping voices.
    """
    mel = np.log(mel_power(samples, config.num_mels) + 1e-7)
    num = samples.shape[0] // 320
    mel = mel[: 2 * num]
    if num:
        mel = (mel - np.quantile(mel, 0.9)) / 4.0
    parts = [mel.reshape(num, 2 * config.num_mels), harmonics(samples, config.num_bins)[:num]]
    return np.concatenate(parts, axis=1).astype(np.float32)


@functools.cache
def load_segmentation(weights: Path = WEIGHTS, device: str = "cpu") -> Segmentation:
    """Loads the trained network.

    Raises:
        MissingModelError: the weights are missing.
    """
    return load_network(
        Segmentation, SegmentationConfig, weights, "build train-segmentation CORPUS", device
    )


@torch.inference_mode()
def segment(model: Segmentation, samples: np.ndarray) -> np.ndarray:
    """Class probabilities `[T // 320, 7]` of samples `[T]` at 16 kHz.

    Windows of 10 s overlap by 2.4 s, in which the later window's voices are renumbered to agree
    with the earlier one's.
    """
    frames = frames_of(samples, model.config)
    device = model.head.weight.device
    num = frames.shape[0]
    out = np.zeros((num, len(CLASSES)), np.float32)
    starts = list(range(0, max(1, num - 2 * _EDGE), WINDOW - 2 * _EDGE)) if num else []
    if starts:
        frames = np.pad(frames, ((0, starts[-1] + WINDOW - num), (0, 0)), mode="edge")
    for first in range(0, len(starts), _BATCH):
        group = starts[first : first + _BATCH]
        batch = np.stack([frames[s : s + WINDOW] for s in group])
        logits = model(torch.from_numpy(batch).to(device))
        probabilities = torch.softmax(logits, dim=-1).cpu().numpy()
        for start, values in zip(group, probabilities, strict=True):
            last = min(num, start + WINDOW)
            values = values[: last - start]
            if start:
                shared = min(2 * _EDGE, values.shape[0])
                values = renumbered(out[start : start + shared], values)
            inner = _EDGE if start else 0
            out[start + inner : last] = values[inner:]
    return out


assert RATE == 16_000  # 320 samples are one frame
