"""Spectral losses between waveforms."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.functional import create_dct

from models.mel import MEL_SCALE, NUM_MELS, LogMel

# Pooling areas of the mel spectrogram: 10 ms frames by bands.
_AREAS = ((1, 5), (1, 10), (2, 2), (4, 1), (8, 4))
_NUM_CEPSTRA = 16


def weighted(losses: dict[str, Tensor], weights: object) -> dict[str, Tensor]:
    """Adds the weighted sum of `losses` as `total`.

    Args:
        losses: by name; those without a weight are only logged.
        weights: a dataclass with a field per weighted loss.
    """
    total = sum(weight * losses[name] for name, weight in vars(weights).items())
    return {"total": total, **losses}  # type: ignore[dict-item]


class SpectralLoss(nn.Module):
    """Spectral distances between two waveforms `[B, T]`; gradients flow to the first.

    `stft` is the multi-resolution STFT loss (arXiv 1910.11480, section 2.2), `mel` the log-mel
    distance, `envelope` the distance of log powers pooled over areas of the mel spectrogram, and
    `cepstrum` the distance of mel cepstra and their first and second time differences. Envelope and
    cepstrum carry phonetic information, which single spectrogram values would drown out.
    """

    cepstra: Tensor

    def __init__(self, sizes: tuple[int, ...] = (256, 512, 1024, 2048)) -> None:
        super().__init__()
        self.sizes = sizes
        self.mel = LogMel()
        cepstra = create_dct(_NUM_CEPSTRA, NUM_MELS, norm="ortho")
        self.register_buffer("cepstra", cepstra, persistent=False)
        for size in sizes:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        convergence, distance = [], []
        for size in self.sizes:
            a, b = self._magnitude(made, size), self._magnitude(wanted, size)
            convergence.append((a - b).norm() / b.norm().clamp_min(1e-3))
            distance.append(F.l1_loss((a + 1e-3).log(), (b + 1e-3).log()))
        mels = [self.mel(sound) for sound in (made, wanted)]
        return {
            "stft": torch.stack(convergence).mean() + torch.stack(distance).mean(),
            "mel": F.l1_loss(*mels),
            "envelope": _envelope(*mels),
            "cepstrum": self._cepstrum(*mels),
        }

    def _cepstrum(self, made: Tensor, wanted: Tensor) -> Tensor:
        error = MEL_SCALE * (made - wanted) @ self.cepstra
        change = error[:, 2:] - error[:, :-2]
        second = change[:, 2:] - change[:, :-2]
        return torch.stack([each.abs().mean() for each in (error, change, second)]).sum()

    def _magnitude(self, samples: Tensor, size: int) -> Tensor:
        window = getattr(self, f"window_{size}")
        spectrum = torch.stft(
            samples, size, size // 4, window=window, center=False, return_complex=True
        )
        return (spectrum.real.square() + spectrum.imag.square() + 1e-7).sqrt()


def _envelope(made: Tensor, wanted: Tensor) -> Tensor:
    """Pooled distance of log-mels `[B, T, 80]`. Single values of noise are random, so a loss on
    them only learns their median; pooled power is stable and perceptually more relevant."""
    powers = [(2 * MEL_SCALE * mel).exp()[:, None] for mel in (made, wanted)]
    distances = []
    for area in _AREAS:
        step = tuple(max(1, side // 2) for side in area)
        a, b = (F.avg_pool2d(power, area, step) for power in powers)
        distances.append(F.l1_loss((a + 1e-4).log(), (b + 1e-4).log()))
    return torch.stack(distances).mean()
