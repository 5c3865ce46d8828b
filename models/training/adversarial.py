"""Waveform discriminators and their losses."""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from models.training.configuration import setting

_LEAK = 0.1  # of the leaky ReLU
_LEAST_POWER = 1e-5
_LEAST_LEVEL = 1e-3  # floor of the level normalisation


@dataclass(frozen=True)
class AdversarialRecipe:
    """Settings of adversarial training, and the discriminators' sizes."""

    rate: float = setting(5e-4, "peak learning rate, of the discriminators too")
    frames: int = setting(8, "40 ms frames of each crop seen by the discriminators")
    weight: float = setting(0.5, "of the adversarial loss")
    features: float = setting(0.3, "of feature matching")
    periods: tuple[int, ...] = setting((2, 3, 5, 7, 11), "samples, of the period discriminators")
    windows: tuple[int, ...] = setting((2048, 1024, 512), "samples, of spectrogram ones")
    period_channels: int = setting(12, "of the first layer of a period discriminator")
    spectrum_channels: int = setting(12, "of each layer of a spectrogram discriminator")


Scored = tuple[Tensor, list[Tensor]]  # score map, and the feature maps before it


class PeriodDiscriminator(nn.Module):
    """Scores audio `[B, T]` folded at one period (HiFi-GAN, arXiv 2010.05646, section 2.3)."""

    def __init__(self, period: int, channels: int) -> None:
        super().__init__()
        self.period = period
        sizes = [1, channels, 3 * channels, 6 * channels, 6 * channels]
        self.layers = nn.ModuleList(
            _layer(nn.Conv2d(n, m, (5, 1), (3, 1), (2, 0))) for n, m in itertools.pairwise(sizes)
        )
        self.score = _score(nn.Conv2d(sizes[-1], 1, (3, 1), 1, (1, 0)))

    def forward(self, samples: Tensor) -> Scored:
        padded = F.pad(samples, (0, -samples.shape[-1] % self.period))
        return _scored(padded.view(len(samples), 1, -1, self.period), self.layers, self.score)


class SpectrumDiscriminator(nn.Module):
    """Scores the complex spectrogram of audio `[B, T]` (EnCodec, arXiv 2210.13438, section 3.4)."""

    window: Tensor

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        entries = (2, channels, channels, channels)
        self.layers = nn.ModuleList(
            _layer(nn.Conv2d(count, channels, (3, 9), (1, 2), (1, 4))) for count in entries
        )
        self.score = _score(nn.Conv2d(channels, 1, 3, 1, 1))

    def forward(self, samples: Tensor) -> Scored:
        with torch.autocast(samples.device.type, enabled=False):
            spectrum = torch.stft(
                samples.float(),
                self.size,
                max(1, self.size // 4),
                window=self.window,
                return_complex=True,
            )
            # Compress magnitudes to their square roots, so that quiet parts count too.
            power = spectrum.real.square() + spectrum.imag.square() + _LEAST_POWER
            spectrum = torch.view_as_real(spectrum) * power.pow(-0.25)[..., None]
        return _scored(spectrum.permute(0, 3, 2, 1), self.layers, self.score)


def _layer(convolution: nn.Conv2d) -> nn.Conv2d:
    # PyTorch's default initialisation would shrink activations threefold per layer.
    nn.init.kaiming_normal_(convolution.weight, a=_LEAK)
    return convolution


def _score(convolution: nn.Conv2d) -> nn.Conv2d:
    # Constant scores at the start.
    assert convolution.bias is not None
    nn.init.zeros_(convolution.weight)
    nn.init.constant_(convolution.bias, 0.5)
    return convolution


def _scored(h: Tensor, layers: nn.ModuleList, score: nn.Module) -> Scored:
    features = []
    for layer in layers:
        h = F.leaky_relu(layer(h), _LEAK)
        features.append(h)
    return score(h), features


class Discriminators(nn.Module):
    """All discriminators. One backward pass over all `losses` trains generator and discriminators;
    neither loss sends gradients into the other's parameters."""

    def __init__(self, recipe: AdversarialRecipe) -> None:
        super().__init__()
        self.each = nn.ModuleList(
            [PeriodDiscriminator(period, recipe.period_channels) for period in recipe.periods]
            + [SpectrumDiscriminator(size, recipe.spectrum_channels) for size in recipe.windows]
        )

    def forward(self, samples: Tensor) -> list[Scored]:
        return [one(samples) for one in self.each]

    def losses(self, made: Tensor, wanted: Tensor) -> dict[str, Tensor]:
        """Losses of generated against recorded audio, `[B, T]`.

        Returns:
            `adversarial` and `features` for the generator, `discriminators` for the discriminators
            (least squares, arXiv 1611.04076).
        """
        level = wanted.square().mean(-1, keepdim=True).sqrt().clamp_min(_LEAST_LEVEL)
        made, wanted = made / level, wanted / level
        true, false = self(wanted), self(made.detach())
        own = [
            (1 - real).square().mean() + fake.square().mean()
            for (real, _), (fake, _) in zip(true, false, strict=True)
        ]
        fixed = {name: parameter.detach() for name, parameter in self.named_parameters()}
        judged = functional_call(self, fixed, (made,))
        adversarial = [(1 - score.float()).square().mean() for score, _ in judged]
        # Normalise by each layer's magnitude, which grows during training.
        features = [
            F.l1_loss(mine.float(), theirs.detach().float()) / theirs.detach().float().abs().mean()
            for (_, ours), (_, others) in zip(judged, true, strict=True)
            for mine, theirs in zip(ours, others, strict=True)
        ]
        return {
            "adversarial": torch.stack(adversarial).mean(),
            "features": torch.stack(features).mean(),
            "discriminators": torch.stack(own).float().mean(),
        }
