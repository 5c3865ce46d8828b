"""Streaming STFT and inverse STFT."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class OverlapState:
    """Samples that overlap the next hop, `[B, n_fft - hop]`."""

    tail: Tensor


class CausalSTFT(nn.Module):
    """Samples `[B, hop * T]` to spectra `[B, T, n_fft / 2 + 1]`; frame t ends with hop t."""

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def init_state(
        self, batch: int, device: torch.device | str, dtype: torch.dtype
    ) -> OverlapState:
        return OverlapState(torch.zeros(batch, self.n_fft - self.hop, device=device, dtype=dtype))

    def forward(self, samples: Tensor, state: OverlapState | None = None) -> Tensor:
        keep = self.n_fft - self.hop
        if state is None:
            joined = F.pad(samples, (keep, 0))
        else:
            joined = torch.cat([state.tail, samples], dim=1)
            state.tail = joined[:, joined.shape[1] - keep :]
        return torch.fft.rfft(joined.unfold(1, self.n_fft, self.hop) * self.window)


class CausalISTFT(nn.Module):
    """Maps spectra `[B, T, n_fft / 2 + 1]` to samples `[B, hop * T]`, delayed by `n_fft - hop`
    samples.

    Frame t completes the hop `n_fft / hop - 1` hops before it; the caller flushes the rest. Squared
    windows sum to a constant, so normalisation is the same at every sample.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        assert n_fft % hop == 0 and n_fft // hop >= 3, "squared Hann windows must sum to a constant"
        self.n_fft, self.hop = n_fft, hop
        window = torch.hann_window(n_fft)
        scale = window.square().sum() / hop
        self.register_buffer("window", window / scale, persistent=False)

    def init_state(
        self, batch: int, device: torch.device | str, dtype: torch.dtype
    ) -> OverlapState:
        return OverlapState(torch.zeros(batch, self.n_fft - self.hop, device=device, dtype=dtype))

    def forward(self, spectra: Tensor, state: OverlapState | None = None) -> Tensor:
        batch, length, _ = spectra.shape
        if state is None:
            state = self.init_state(batch, spectra.device, torch.float32)
        frames = torch.fft.irfft(spectra, n=self.n_fft) * self.window
        hops = frames.unflatten(2, (-1, self.hop))
        count = hops.shape[2]
        summed = frames.new_zeros(batch, length + count - 1, self.hop)
        for place in range(count):
            summed[:, place : place + length] += hops[:, :, place]
        summed = summed.flatten(1)
        overlap = self.n_fft - self.hop
        summed = torch.cat([summed[:, :overlap] + state.tail, summed[:, overlap:]], dim=1)
        done = length * self.hop
        state.tail = summed[:, done:]
        return summed[:, :done]
