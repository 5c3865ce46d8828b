"""A judge of spectrograms that the decoder learns to please."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_CHANNELS = 16
_SLOPE = 0.2


class SpectrogramJudge(nn.Module):
    """Samples `[B, T]` to marks `[B, 1, frames, bins / 8]` and the features on the way there.

    Convolutions over the complex spectrum of one resolution (the MS-STFT discriminator of EnCodec,
    arXiv 2210.13438, section 3.4), magnitudes compressed by a root so that quiet bins count.
    """

    window: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("window", torch.hann_window(size), persistent=False)
        wide: dict[str, tuple[int, int]] = {"kernel_size": (3, 9), "stride": (1, 2)}
        norm = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(
            [
                norm(nn.Conv2d(2, _CHANNELS, padding=(1, 4), **wide)),
                norm(nn.Conv2d(_CHANNELS, _CHANNELS, padding=(1, 4), **wide)),
                norm(nn.Conv2d(_CHANNELS, _CHANNELS, dilation=(2, 1), padding=(2, 4), **wide)),
                norm(nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1)),
            ]
        )
        self.mark = norm(nn.Conv2d(_CHANNELS, 1, 3, padding=1))

    def forward(self, samples: Tensor) -> tuple[Tensor, list[Tensor]]:
        spectrum = torch.stft(
            samples.float(),
            self.size,
            self.size // 4,
            window=self.window,
            center=False,
            return_complex=True,
        ).transpose(1, 2)
        power = spectrum.real.square() + spectrum.imag.square() + 1e-6
        h = torch.stack([spectrum.real, spectrum.imag], dim=1) * power[:, None].pow(-0.25)
        features = []
        for layer in self.layers:
            h = F.leaky_relu(layer(h), _SLOPE)
            features.append(h)
        return self.mark(h), features


class Judges(nn.Module):
    """Judges of several resolutions, and the losses of both sides (least squares, arXiv
    1611.04076; feature matching, arXiv 1910.06711, section 2.3)."""

    def __init__(self, sizes: tuple[int, ...] = (512, 1024)) -> None:
        super().__init__()
        self.judges = nn.ModuleList(SpectrogramJudge(size) for size in sizes)

    def losses(self, made: Tensor, real: Tensor) -> dict[str, Tensor]:
        """Means over the judges, of sounds `[B, T]`.

        Returns:
            `judge`, whose gradient reaches the judges alone; `adversarial` and `features`, whose
            gradient reaches `made` alone. So one backward pass of their sum trains both sides.
        """
        rows = [_losses(judge, made, real) for judge in self.judges]
        return {name: torch.stack([row[name] for row in rows]).mean() for name in rows[0]}


def _losses(judge: nn.Module, made: Tensor, real: Tensor) -> dict[str, Tensor]:
    mark_real, wanted = judge(real)
    mark_made, _ = judge(made.detach())
    fixed = {name: p.detach() for name, p in judge.named_parameters()}
    mark, found = torch.func.functional_call(judge, fixed, (made,))
    distances = [
        (a - b.detach()).abs().mean() / b.detach().abs().mean().clamp_min(1e-3)
        for a, b in zip(found, wanted, strict=True)
    ]
    return {
        "judge": (1 - mark_real).square().mean() + mark_made.square().mean(),
        "adversarial": (1 - mark).square().mean(),
        "features": torch.stack(distances).mean(),
    }
