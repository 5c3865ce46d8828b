"""Data augmentation: rooms, noise and microphones."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from models.mel import SAMPLE_RATE


def simulate_recording(samples: Tensor, generator: np.random.Generator) -> Tensor:
    """Simulates recordings of samples `[B, T]`: a small room, spectral tilt, noise, another level,
    a narrower band. An eighth of the rows stays unchanged."""
    true_length = samples.shape[1]
    # FFTs of odd lengths take five times as long
    fast_length = next_fast_len(true_length, real=True) or true_length
    samples = F.pad(samples, (0, fast_length - true_length))
    batch, length = samples.shape

    def some(share: float) -> Tensor:
        return torch.from_numpy(generator.random((batch, 1)) < share).to(samples.device)

    def between(low: float, high: float) -> Tensor:
        drawn = torch.from_numpy(generator.uniform(low, high, (batch, 1))).float()
        return drawn.to(samples.device)

    def noise() -> Tensor:
        return torch.from_numpy(generator.standard_normal((batch, length))).float().to(samples)

    hertz = torch.fft.rfftfreq(2 * length, 1 / SAMPLE_RATE).to(samples)
    spectrum = torch.fft.rfft(samples, 2 * length)
    # room: exponentially decaying noise (RT60 in seconds), some dB below the direct sound
    seconds = torch.arange(length, device=samples.device) / SAMPLE_RATE
    tail = noise() * 10 ** (-3 * seconds / between(0.1, 0.5))
    tail = tail / tail.square().sum(1, keepdim=True).sqrt() * 10 ** (-between(3, 20) / 20)
    spectrum = torch.where(some(0.4), spectrum * (1 + torch.fft.rfft(tail, 2 * length)), spectrum)
    octaves = (hertz.clamp_min(50.0) / 1000).log2()
    spectrum = spectrum * torch.where(some(0.5), 10 ** (between(-1, 1) * octaves / 20), 1.0)
    heard = torch.fft.irfft(spectrum)[:, :length]
    level = samples.square().mean(1, keepdim=True).sqrt()
    heard = torch.where(some(0.8), heard + noise() * level * 10 ** (-between(12, 80) / 20), heard)
    heard = heard * 10 ** between(-0.4, 0.2)  # random microphone gain
    narrow = torch.fft.rfft(heard) * (hertz[::2] < between(4000, 12_000))
    heard = torch.where(some(0.4), torch.fft.irfft(narrow, length), heard)
    return torch.where(some(0.125), samples, heard)[:, :true_length]
