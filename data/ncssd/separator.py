"""The separation network: splits overlapping speech into one track per voice.

It is conditioned on each speaker's voice from single speech elsewhere in the dialogue, and on their
activity per frame from diarisation (after Delcroix et al. 2021, "Speaker activity driven neural
speech extraction"), so that its outputs are already assigned to speakers. It predicts two masks on
the spectrogram, mostly as combinations of combs: learned templates of the harmonics of one pitch,
initialised analytically. Trained by `separator_training` on simulated recordings.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data.ncssd.network_files import load_network

WEIGHTS = Path(__file__).parent / "weights" / "separator.safetensors"
HOP_S = 0.016
_WINDOW_S = 0.064  # 15.6 Hz per bin at any sample rate
_BIN_HZ = 1 / _WINDOW_S
FINE = 256  # bins with individual mask values, up to 4 kHz
_BAND = 8  # bins per shared mask value up to 8 kHz; the last value also applies above
HEARD = 513  # input bins of the network
UNITS = FINE + (HEARD - 1 - FINE) // _BAND
_MELS = 40
_ENVELOPE = 17  # bins
_FLOOR = 1e-6
_LOWEST_HZ, _COMBS_AN_OCTAVE = 65.0, 48


@dataclass(frozen=True)
class SeparatorConfig:
    """Shape of the network."""

    combs: int = 128  # templates for pitches from 65 Hz, 48 per octave
    dim: int = 256  # features per frame, of which the first `combs` are the combs' salience
    memory: int = 192  # LSTM size per direction
    num_layers: int = 2

    @property
    def num_inputs(self) -> int:
        return FINE + _MELS


class Separator(nn.Module):
    """Spectrogram, speaker activity and voice profiles to one mask per speaker.

    Frames are 16 ms apart. A bidirectional LSTM takes two per step; offline only.
    """

    def __init__(self, config: SeparatorConfig) -> None:
        super().__init__()
        self.config = config
        dim, memory = config.dim, config.memory
        self.front = nn.Linear(config.num_inputs, dim)
        self.whose = nn.Linear(2 * dim, dim)
        self.joint = nn.Linear(2 * (dim + 2), dim)
        self.norm = nn.LayerNorm(dim)
        self.recurrent = nn.LSTM(
            dim, memory, config.num_layers, batch_first=True, bidirectional=True
        )
        self.pitch = nn.Linear(2 * memory, 2 * 2 * dim)
        self.draw = nn.Linear(dim, UNITS)
        self.rest = nn.Linear(2 * memory, 2 * UNITS)
        with torch.no_grad():
            templates = torch.from_numpy(combs(config.combs))
            self.front.weight[: config.combs, :FINE] = templates
            self.draw.weight[:, : config.combs] = 0.0
            self.draw.weight[:FINE, : config.combs] = 4.0 * templates.T

    def profile(self, frames: Tensor) -> Tensor:
        """A voice's profile `[B, dim]` from frames of single speech `[B, T, num_inputs]`."""
        return torch.relu(self.front(frames)).mean(dim=1)

    def forward(self, frames: Tensor, activity: Tensor, profiles: Tensor) -> Tensor:
        """Masks `[B, T, 2, UNITS]`, 0 to 1; the remainder to 1 is background.

        Args:
            frames: the mixture, `[B, T, num_inputs]`; T must be even.
            activity: `[B, T, 2]`, 1 where a speaker is active.
            profiles: `[B, 2, dim]`.
        """
        batch, num, _ = frames.shape
        known = torch.cat([torch.relu(self.front(frames)), activity], dim=-1)
        hidden = self.joint(known.reshape(batch, num // 2, -1))
        hidden = hidden + self.whose(profiles.reshape(batch, 1, -1))
        hidden = self.recurrent(torch.relu(self.norm(hidden)))[0]
        pitch = torch.relu(self.pitch(hidden)).reshape(batch, num, 2, -1)
        rest = self.rest(hidden).reshape(batch, num, 1, UNITS)
        return torch.softmax(torch.cat([self.draw(pitch), rest], dim=2), dim=2)[:, :, :2]


def combs(number: int) -> np.ndarray:
    """Harmonic templates `[number, FINE]` of one pitch each, with mean 0 and norm 1."""
    hz = _LOWEST_HZ * 2 ** (np.arange(number)[:, None] / _COMBS_AN_OCTAVE)
    bins = np.arange(FINE)[None] * _BIN_HZ
    wave = np.cos(2 * np.pi * bins / hz)
    # a pitch is up to 0.7 % off its nearest template, so higher harmonics are weighted less
    wave *= np.exp(-bins / hz / 12.0) * (bins > hz / 2)
    wave -= wave.mean(axis=1, keepdims=True) * (bins > hz / 2)
    return (wave / np.linalg.norm(wave, axis=1, keepdims=True)).astype(np.float32)


def transform(samples: Tensor, rate: int) -> Tensor:
    """Complex spectrogram `[..., T // hop + 1, bins]` of samples `[..., T]`."""
    size, hop, window = _window(rate)
    flat = samples.reshape(-1, samples.shape[-1])
    spectrum = torch.stft(flat, size, hop, window=window, return_complex=True, pad_mode="constant")
    spectrum = spectrum.transpose(1, 2) / window.sum()
    return spectrum.reshape(*samples.shape[:-1], *spectrum.shape[1:])


def inverse(spectrum: Tensor, rate: int, length: int) -> Tensor:
    """Samples `[N, length]` of spectrograms `[N, T, bins]`."""
    size, hop, window = _window(rate)
    return torch.istft(
        (spectrum * window.sum()).transpose(1, 2), size, hop, window=window, length=length
    )


@functools.cache
def _window(rate: int) -> tuple[int, int, Tensor]:
    """Window length and hop in samples, and a window with perfect reconstruction."""
    size = round(_WINDOW_S * rate)
    return size, round(HOP_S * rate), torch.hann_window(size).sqrt()


def power_of(spectrum: Tensor) -> Tensor:
    """Squared magnitude; several times faster than `abs().square()`, with gradients above all."""
    return spectrum.real.square() + spectrum.imag.square()


def frames_of(spectrum: Tensor) -> Tensor:
    """Input features `[..., T, num_inputs]` of a spectrogram `[..., T, bins]`: its fine structure
    up to 4 kHz, and log mel bands up to 8 kHz."""
    power = power_of(spectrum[..., :HEARD])
    log = torch.log(power[..., : FINE + _ENVELOPE] + _FLOOR)
    flat = log.reshape(-1, 1, log.shape[-1])
    mean = torch.nn.functional.avg_pool1d(
        flat, _ENVELOPE, 1, _ENVELOPE // 2, count_include_pad=False
    ).reshape(log.shape)
    fine = (log - mean)[..., :FINE] / 3.0
    mel = torch.log(power @ _mel_matrix() + _FLOOR) / 4.0 + 1.5
    return torch.cat([fine, mel], dim=-1)


@functools.cache
def _mel_matrix() -> Tensor:
    from torchaudio.functional import melscale_fbanks

    return melscale_fbanks(HEARD, 0.0, 8_000.0, _MELS, 16_000, "slaney", "slaney") * 50.0


@functools.cache
def unit_of(num_bins: int) -> Tensor:
    """The index of the mask value that applies to each bin, `[num_bins]`."""
    bins = torch.arange(num_bins)
    return torch.where(bins < FINE, bins, FINE + (bins - FINE) // _BAND).clamp(max=UNITS - 1)


@functools.cache
def load_separator(weights: Path = WEIGHTS, device: str = "cpu") -> Separator:
    """Loads the trained network.

    Raises:
        MissingModelError: the weights are missing.
    """
    return load_network(Separator, SeparatorConfig, weights, "build train-separator CORPUS", device)
