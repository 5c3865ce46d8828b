"""The style encoder: a speaker embedding."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from models.checkpoint import load_model
from models.mel import NUM_FEATURES, SpeechFeatures
from models.streaming import ConvNeXtStack, Downsample


@dataclass(frozen=True)
class StyleConfig:
    """Sizes of the style encoder."""

    dim: int = 192
    depth: int = 3
    style_dim: int = 128


class StyleEncoder(nn.Module):
    """Encodes features of any length as a style vector `[B, style_dim]` of unit mean square.

    Convolutions and attentive statistics pooling (arXiv 1803.10963, section 3). Trained to
    discriminate speakers and to predict their mean pitch and spectrum, from a different utterance
    than the one to be spoken, so that it cannot encode utterance content.
    """

    def __init__(self, config: StyleConfig) -> None:
        super().__init__()
        self.config = config
        self.features = SpeechFeatures()
        self.stem = nn.Sequential(
            Downsample(NUM_FEATURES, config.dim), nn.GELU(), Downsample(config.dim, config.dim)
        )
        self.body = ConvNeXtStack(config.dim, config.depth)
        self.attention = nn.Linear(config.dim, config.dim)
        self.project = nn.Linear(2 * config.dim, config.style_dim)
        self.norm = nn.LayerNorm(config.style_dim, elementwise_affine=False)

    def forward(self, features: Tensor) -> Tensor:
        h = self.body(self.stem(features)).float()
        weights = self.attention(h).float().softmax(dim=1)
        mean = (weights * h).sum(dim=1)
        spread = ((weights * h.square()).sum(dim=1) - mean.square()).clamp_min(1e-5).sqrt()
        return self.norm(self.project(torch.cat([mean, spread], dim=-1)))

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> Tensor:
        """Samples `[B, T]` at 24 kHz to style vectors `[B, style_dim]`."""
        return self(self.features(samples))


def load_style(folder: Path) -> StyleEncoder:
    """Loads the trained style encoder.

    Raises:
        MissingModelError: it is missing from `folder`.
    """
    return load_model(folder, "style", StyleEncoder, StyleConfig)
