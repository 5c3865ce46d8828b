"""The posterior encoder: audio to the latent space that all predictors share."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.mel import NUM_FEATURES, SpeechFeatures
from models.streaming import ConvNeXtStack, Downsample


@dataclass(frozen=True)
class PosteriorConfig:
    """Sizes of the posterior encoder."""

    dim: int = 256
    depth: int = 4
    latent_dim: int = 64


class Posterior(nn.Module):
    """Maps features `[B, 4 T, 128]` to mean and log-variance of `z`, each `[B, T, latent_dim]`, 25
    Hz.

    The posterior of a variational autoencoder (VITS, arXiv 2106.06103, section 2.1.2), causal
    except for the features' look-ahead of 38 ms. Runs on whole turns.
    """

    def __init__(self, config: PosteriorConfig) -> None:
        super().__init__()
        self.config = config
        self.features = SpeechFeatures()
        self.stem = nn.Sequential(
            Downsample(NUM_FEATURES, config.dim), nn.GELU(), Downsample(config.dim, config.dim)
        )
        self.body = ConvNeXtStack(config.dim, config.depth)
        self.project = nn.Linear(config.dim, 2 * config.latent_dim)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.project(self.body(self.stem(features))).float().chunk(2, dim=-1)
        return mean, log_variance.clamp(-12.0, 4.0)

    @torch.inference_mode()
    def encode(self, samples: Tensor) -> Tensor:
        """Samples `[B, T]` at 24 kHz to the posterior's mean `[B, ceil(T / 960), latent_dim]`."""
        return self(self.features(samples))[0]


def sample(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Samples the posterior by reparametrisation (arXiv 1312.6114)."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
