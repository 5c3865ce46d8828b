"""Spectral losses between sounds."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.mel import LogMel


class SpectralLoss(nn.Module):
    """Multi-resolution STFT loss (arXiv 1910.11480, section 2.2), log-mel distance, and `level`,
    the distance between the logarithms of each bin's power over the whole sound.

    Both sounds are `[B, T]`; gradients flow to the first.
    """

    def __init__(self, sizes: tuple[int, ...] = (256, 512, 1024, 2048)) -> None:
        super().__init__()
        self.sizes = sizes
        self.mel = LogMel()
        for size in sizes:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        convergence, distance, level = [], [], []
        for size in self.sizes:
            a, b = self._magnitude(made, size), self._magnitude(wanted, size)
            convergence.append((a - b).norm() / b.norm().clamp_min(1e-3))
            distance.append(F.l1_loss((a + 1e-3).log(), (b + 1e-3).log()))
            # The other terms ask for medians, which lie below means: this one keeps the power.
            powers = [magnitude.square().mean(-1) + 1e-4 for magnitude in (a, b)]
            level.append(F.l1_loss(powers[0].log(), powers[1].log()))
        mel = F.l1_loss(self.mel(made), self.mel(wanted))
        return {
            "stft": torch.stack(convergence).mean() + torch.stack(distance).mean(),
            "mel": mel,
            "level": torch.stack(level).mean(),
        }

    def _magnitude(self, samples: Tensor, size: int) -> Tensor:
        window = getattr(self, f"window_{size}")
        spectrum = torch.stft(
            samples, size, size // 4, window=window, center=False, return_complex=True
        )
        return (spectrum.real.square() + spectrum.imag.square() + 1e-7).sqrt()
