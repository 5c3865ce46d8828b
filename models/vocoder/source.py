"""The excitation source: a band-limited pulse train and noise."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.mel import HOP_SAMPLES, SAMPLE_RATE

_NOISE_SAMPLES = 1 << 18


@dataclass
class SourceState:
    """Phase in turns `[B, 1]` (float64) and samples generated so far `[B]`."""

    phase: Tensor
    position: Tensor


class Source(nn.Module):
    """Maps F0 `[B, T]` in Hz at 100 Hz to a pulse train and noise, each `[B, 240 T]`.

    The pulse train sums all harmonics below Nyquist in closed form, scaled to unit power, so it is
    as white as the noise. Noise is read from a fixed buffer by absolute position, so chunks equal
    the whole. No delay.
    """

    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(20_24)
        noise = torch.randn(_NOISE_SAMPLES, generator=generator, device="cpu")
        self.register_buffer("noise", noise, persistent=False)

    def init_state(self, batch: int, device: torch.device | str, dtype: torch.dtype) -> SourceState:
        phase = torch.zeros(batch, 1, device=device, dtype=torch.float64)
        return SourceState(phase, torch.zeros(batch, device=device, dtype=torch.long))

    def forward(self, f0: Tensor, state: SourceState | None = None) -> tuple[Tensor, Tensor]:
        if state is None:
            state = self.init_state(f0.shape[0], f0.device, f0.dtype)
        per_sample = f0.double().repeat_interleave(HOP_SAMPLES, dim=1) / SAMPLE_RATE
        phase = state.phase + per_sample.cumsum(dim=1)
        num_harmonics = (0.5 / per_sample).floor().clamp_min(1)
        pulses = _harmonic_sum((phase % 1.0) * 2 * math.pi, num_harmonics)
        pulses = pulses * (2 / num_harmonics).sqrt()
        length = per_sample.shape[1]
        index = torch.arange(length, device=f0.device) + state.position[:, None]
        noise = self.noise[index % _NOISE_SAMPLES]
        state.phase = phase[:, -1:] % 1.0
        state.position = state.position + length
        return pulses.to(f0.dtype), noise.to(f0.dtype)


def _harmonic_sum(angle: Tensor, num_harmonics: Tensor) -> Tensor:
    """`sum(cos(k * angle) for k in 1..num_harmonics)` by the Dirichlet kernel."""
    half = angle / 2
    denominator = half.sin()
    tiny = denominator.abs() < 1e-6
    safe = torch.where(tiny, torch.ones_like(denominator), denominator)
    ratio = ((num_harmonics + 0.5) * angle).sin() / (2 * safe)
    return torch.where(tiny, num_harmonics + 0.5, ratio) - 0.5
