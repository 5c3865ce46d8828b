"""Kokoro's decoder: text features, F0, energy and style to 24 kHz samples (iSTFTNet)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from data.audio import SAMPLE_RATE
from data.synthetic.kokoro.blocks import SnakeStack, StyleBlock, mask_of, silence

FRAME_SAMPLES = 600
"""Samples per duration frame (25 ms)."""

_N_FFT, _HOP = 20, 5
_RATES, _UP_KERNELS = (10, 6), (20, 12)
_KERNELS, _SOURCE_KERNELS = (3, 7, 11), (7, 11)
_NUM_SINES = 9
_F0_SAMPLES = FRAME_SAMPLES // 2
_SINE_LEVEL, _VOICED_NOISE = 0.1, 0.003
_RESIDUAL_CHANNELS = 64


class _Source(nn.Module):
    """Excitation: harmonics of F0 where voiced, noise elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.l_linear = nn.Linear(_NUM_SINES, 1)

    def forward(self, f0: Tensor, noise: Tensor) -> Tensor:
        """F0 `[B, 2 T]` in Hz, standard noise `[B, 9, 600 T]` -> excitation `[B, 600 T]`."""
        multiples = torch.arange(1, _NUM_SINES + 1, device=f0.device)[:, None]
        turns = (f0[:, None] * multiples / SAMPLE_RATE) % 1
        phase = turns.cumsum(-1) * (2 * math.pi * _F0_SAMPLES)
        sines = F.interpolate(phase, scale_factor=_F0_SAMPLES, mode="linear").sin_() * _SINE_LEVEL
        voiced = (f0 > 10).to(sines)[:, None].repeat_interleave(_F0_SAMPLES, -1)
        level = voiced * _VOICED_NOISE + (1 - voiced) * (_SINE_LEVEL / 3)
        mixed = torch.addcmul(sines * voiced, level, noise)
        return torch.tanh(self.l_linear(mixed.transpose(1, 2)))[..., 0]


class _Generator(nn.Module):
    """Upsampling conditioned on the source's spectrum, then an inverse STFT."""

    window: Tensor

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        widths = [channels >> (index + 1) for index in range(len(_RATES))]
        self.m_source = _Source()
        self.noise_convs = nn.ModuleList(
            (
                nn.Conv1d(_N_FFT + 2, widths[0], 2 * _RATES[1], _RATES[1], padding=_RATES[1] // 2),
                nn.Conv1d(_N_FFT + 2, widths[1], 1),
            )
        )
        self.noise_res = nn.ModuleList(
            SnakeStack(style_dim, width, kernel)
            for width, kernel in zip(widths, _SOURCE_KERNELS, strict=True)
        )
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(2 * width, width, kernel, rate, padding=(kernel - rate) // 2)
            for width, rate, kernel in zip(widths, _RATES, _UP_KERNELS, strict=True)
        )
        self.resblocks = nn.ModuleList(
            SnakeStack(style_dim, width, kernel) for width in widths for kernel in _KERNELS
        )
        self.conv_post = nn.Conv1d(widths[-1], _N_FFT + 2, 7, padding=3)
        self.register_buffer("window", torch.hann_window(_N_FFT), persistent=False)

    def forward(
        self, x: Tensor, f0: Tensor, style: Tensor, lengths: Tensor | None, noise: Tensor
    ) -> Tensor:
        """`[B, C, 2 T]`, F0 `[B, 2 T]` -> samples `[B, 600 T]`."""
        spectrum = self._spectrum(self.m_source(f0, noise), lengths)
        rate = 2
        for index, up in enumerate(self.ups):
            rate *= _RATES[index]
            mask = mask_of(lengths, x.device, rate, index)  # the second has one more frame
            source = silence(self.noise_convs[index](spectrum), mask)
            source = self.noise_res[index](source, style, mask)
            x = up(F.leaky_relu(x, 0.1))
            x = F.pad(x, (1, 0), "reflect") if index else x
            x = silence(x + source, mask)
            stacks = self.resblocks[index * len(_KERNELS) : (index + 1) * len(_KERNELS)]
            x = _mean([stack(x, style, mask) for stack in stacks])
        x = self.conv_post(F.leaky_relu(x, 0.01))
        half = _N_FFT // 2 + 1
        return self._samples(torch.polar(x[:, :half].exp(), x[:, half:].sin()), lengths)

    def _samples(self, frames: Tensor, lengths: Tensor | None) -> Tensor:
        """Samples of spectra `[B, 11, 120 T + 1]`; each utterance ends with its own last frame."""
        if lengths is None:
            return torch.istft(frames, _N_FFT, _HOP, _N_FFT, self.window)
        ends = (lengths * (FRAME_SAMPLES // _HOP) + 1).tolist()
        return pad_sequence(
            [
                torch.istft(row[:, :end], _N_FFT, _HOP, _N_FFT, self.window)
                for row, end in zip(frames, ends, strict=True)
            ],
            batch_first=True,
        )

    def _spectrum(self, excitation: Tensor, lengths: Tensor | None) -> Tensor:
        """Magnitude and phase `[B, 22, 120 T + 1]`, reflection-padded at each utterance's end."""
        if lengths is not None:
            at = torch.arange(excitation.shape[1], device=excitation.device)[None]
            last = lengths.to(excitation.device)[:, None] * FRAME_SAMPLES - 1
            mirrored = torch.where(at <= last, at, 2 * last - at).clamp(min=0)
            excitation = excitation.gather(1, mirrored)
        frames = torch.stft(excitation, _N_FFT, _HOP, _N_FFT, self.window, return_complex=True)
        return torch.cat([frames.abs(), frames.angle()], 1)


def _mean(values: list[Tensor]) -> Tensor:
    total = values[0]
    for value in values[1:]:
        total = total.add_(value)
    return total.div_(len(values))


class Decoder(nn.Module):
    """Frame-level text features, F0 and energy to samples, conditioned on a style."""

    def __init__(self, dim: int, style_dim: int, width: int, channels: int) -> None:
        super().__init__()
        joined = width + 2 + _RESIDUAL_CHANNELS
        self.F0_conv = nn.Conv1d(1, 1, 3, 2, padding=1)
        self.N_conv = nn.Conv1d(1, 1, 3, 2, padding=1)
        self.asr_res = nn.Sequential(nn.Conv1d(dim, _RESIDUAL_CHANNELS, 1))
        self.encode = StyleBlock(style_dim, dim + 2, width)
        self.decode = nn.ModuleList(
            StyleBlock(style_dim, joined, channels if last else width, double=last)
            for last in (False, False, False, True)
        )
        self.generator = _Generator(style_dim, channels)

    def forward(
        self, text: Tensor, f0: Tensor, energy: Tensor, style: Tensor, lengths: Tensor | None,
        noise: Tensor,
    ) -> Tensor:  # fmt: skip
        """Text `[B, dim, T]`, F0 and energy `[B, 2 T]` -> samples `[B, 600 T]`.

        Args:
            text, f0, energy: per frame or half frame; zero in the padding.
            style: timbre half of the voice's style, `[B, style]`.
            lengths: frames per utterance `[B]`; None if all are equal.
            noise: standard normal, `[B, 9, 600 T]`.
        """
        mask, doubled = mask_of(lengths, text.device), mask_of(lengths, text.device, 2)
        curves = torch.cat(
            [
                silence(project(curve[:, None]), mask)
                for project, curve in ((self.F0_conv, f0), (self.N_conv, energy))
            ],
            1,
        )
        residual = silence(self.asr_res(text), mask)
        x = self.encode(torch.cat([text, curves], 1), style, mask)
        for block in self.decode:
            x = block(torch.cat([x, residual, curves], 1), style, mask, doubled)
        return self.generator(x, f0, style, lengths, noise)
