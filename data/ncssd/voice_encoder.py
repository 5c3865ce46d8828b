"""The voice encoder: embeddings of 1.2 s of one person's speech, compared by their cosine.

Resemblyzer's network (Wan et al. 2018, "Generalized end-to-end loss for speaker verification"),
fine-tuned by `voice_encoder_training` to embed speech in noise, music, rooms and over the telephone
as it embeds the same speech without them.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data.ncssd.network_files import load_network

WEIGHTS = Path(__file__).parent / "weights" / "voice_encoder.safetensors"


@dataclass(frozen=True)
class VoiceEncoderConfig:
    """Shape of the network: resemblyzer's."""

    num_mels: int = 40
    dim: int = 256
    num_layers: int = 3


class VoiceEncoder(nn.Module):
    """Mel power `[B, T, num_mels]` to unit vectors `[B, dim]`."""

    def __init__(self, config: VoiceEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.lstm = nn.LSTM(config.num_mels, config.dim, config.num_layers, batch_first=True)
        self.linear = nn.Linear(config.dim, config.dim)

    def forward(self, mels: Tensor) -> Tensor:
        _, (hidden, _) = self.lstm(mels)
        raw = torch.relu(self.linear(hidden[-1]))
        return raw / (raw.norm(dim=1, keepdim=True) + 1e-6)


@functools.cache
def load_voice_encoder(weights: Path = WEIGHTS, device: str = "cpu") -> VoiceEncoder:
    """Loads the fine-tuned network.

    Raises:
        MissingModelError: the weights are missing.
    """
    return load_network(
        VoiceEncoder, VoiceEncoderConfig, weights, "build train-voice-encoder CORPUS", device
    )


@torch.inference_mode()
def encode(mels: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Windows of mel power `[B, T, 40]` to unit embeddings `[B, 256]`."""
    model = load_voice_encoder(device=device)
    return model(torch.from_numpy(mels).to(device)).cpu().numpy()
