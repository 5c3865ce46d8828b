"""Resemblyzer's network (Wan et al. 2018, "Generalized end-to-end loss for speaker verification").

Reimplemented because importing the package also imports webrtcvad and librosa.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn


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

    @torch.inference_mode()
    def embed(self, mels: np.ndarray) -> np.ndarray:
        """Unit embeddings `[B, dim]` of windows of mel power `[B, T, num_mels]`."""
        return self(torch.from_numpy(mels).to(self.linear.weight.device)).cpu().numpy()
