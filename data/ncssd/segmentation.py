"""The segmentation network: how many voices are there in each 20 ms, and does one give way.

It knows no identities, so it needs few voices to learn from: per frame the chances of silence,
one voice or two at once, and of a change of speaker within 100 ms. Who speaks is told from
embeddings afterwards (`speakers`). Trained by `segmentation_training` on made recordings.
"""

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from data.errors import MissingModelError
from data.ncssd.features import RATE, Posterior, harmonics, mel_power

WEIGHTS = Path(__file__).parent / "weights" / "segmentation.safetensors"
_WINDOW = 600  # frames judged at once: 12 s
_EDGE = 50  # frames at a window's edge that its neighbour judges: 1 s
_BATCH = 8


@dataclass(frozen=True)
class SegmentationConfig:
    """Shape of the network."""

    num_mels: int = 40
    num_bins: int = 0  # of the fine spectrum, 15.6 Hz each, from 62 Hz
    stride: int = 1  # frames a step of its memory: 1 or 2
    dim: int = 96
    num_layers: int = 2

    @property
    def num_inputs(self) -> int:
        return 2 * self.num_mels + self.num_bins


class Segmentation(nn.Module):
    """Frames [B, T, 2 * num_mels + num_bins] at 50 Hz to logits [B, T, 4]; T a multiple of stride.

    The first three are silence, one voice, two or more; the fourth is a change of speaker. It
    hears both directions and is not meant for streaming.
    """

    def __init__(self, config: SegmentationConfig) -> None:
        super().__init__()
        dim, stride = config.dim, config.stride
        self.config = config
        self.front = nn.Conv1d(config.num_inputs, dim, 4 + stride, stride, padding=2)
        self.norm = nn.LayerNorm(dim)
        self.recurrent = nn.GRU(dim, dim, config.num_layers, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * dim, stride * 4)

    def forward(self, frames: Tensor) -> Tensor:
        hidden = torch.relu(self.norm(self.front(frames.transpose(1, 2)).transpose(1, 2)))
        return self.head(self.recurrent(hidden)[0]).reshape(frames.shape[0], -1, 4)


def frames_of(samples: np.ndarray, config: SegmentationConfig) -> np.ndarray:
    """Samples [T] at 16 kHz to frames [T // 320, num_inputs], level taken out.

    Log mel frames tell speech and its edges; the harmonics of a fine spectrum tell two voices.
    """
    mel = np.log(mel_power(samples, config.num_mels) + 1e-7)
    num = samples.shape[0] // 320
    mel = mel[: 2 * num]
    if num:
        mel = (mel - np.quantile(mel, 0.9)) / 4.0
    parts = [mel.reshape(num, 2 * config.num_mels)]
    if config.num_bins:
        parts.append(harmonics(samples, config.num_bins)[:num])
    return np.concatenate(parts, axis=1).astype(np.float32)


@functools.cache
def load_segmentation(weights: Path = WEIGHTS) -> Segmentation:
    """The trained network.

    Raises:
        MissingModelError: no weights there.
    """
    if not weights.is_file():
        raise MissingModelError(
            f"{weights} is missing; make it with: python3 launch.py build train-segmentation CORPUS"
        )
    torch.set_num_threads(1)
    config = SegmentationConfig(**json.loads(weights.with_suffix(".json").read_text()))
    model = Segmentation(config)
    state = {name: value.float() for name, value in load_file(weights).items()}
    model.load_state_dict(state, strict=True)
    return model.eval()


def save_segmentation(model: Segmentation, weights: Path) -> None:
    """Half precision beside its configuration."""
    weights.parent.mkdir(parents=True, exist_ok=True)
    weights.with_suffix(".json").write_text(json.dumps(asdict(model.config)) + "\n")
    save_file({k: v.half().contiguous() for k, v in model.state_dict().items()}, weights)


@torch.inference_mode()
def segment(model: Segmentation, samples: np.ndarray) -> Posterior:
    """Judges samples [T] at 16 kHz in windows of 12 s that overlap by 2 s."""
    frames = frames_of(samples, model.config)
    num = frames.shape[0]
    step = _WINDOW - 2 * _EDGE
    starts = list(range(0, max(1, num - 2 * _EDGE), step))
    padded = np.pad(frames, ((0, starts[-1] + _WINDOW - num), (0, 0)), mode="edge") if num else None
    out = np.zeros((num, 4), np.float32)
    for first in range(0, len(starts) if padded is not None else 0, _BATCH):
        group = starts[first : first + _BATCH]
        batch = np.stack([padded[s : s + _WINDOW] for s in group])
        logits = model(torch.from_numpy(batch)).numpy()
        for start, values in zip(group, logits, strict=True):
            inner = 0 if start == 0 else _EDGE
            last = min(num, start + _WINDOW)
            out[start + inner : last] = values[inner : last - start]
    chances = np.exp(out[:, :3] - out[:, :3].max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    change = 1.0 / (1.0 + np.exp(-out[:, 3]))
    return Posterior(1.0 - chances[:, 0], chances[:, 2], change)


assert RATE == 16_000  # 320 samples are one frame
