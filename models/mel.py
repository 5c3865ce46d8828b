"""Spectral features, the input of all speech encoders."""

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

SAMPLE_RATE = 24_000
HOP_SAMPLES = 240  # 100 Hz
FRAME_SAMPLES = 960  # 25 Hz
MELS_PER_FRAME = FRAME_SAMPLES // HOP_SAMPLES
NUM_MELS = 80
WINDOW_SAMPLES = 1024
NARROW_WINDOW_SAMPLES = 2048
NUM_NARROW = 48
NUM_FEATURES = NUM_MELS + NUM_NARROW
FLOOR = 1e-5

# Log-mels of speech range from about -11.5 (the floor) to 2; models get them centred and scaled.
_CENTRE, MEL_SCALE = -5.0, 3.0  # nats


def in_16_bits(samples: Tensor) -> Tensor:
    """Rounds samples to 16 bits, as in files and from microphones.

    Resampled or synthesized audio has bands of digital silence, which models trained on files have
    not seen.
    """
    return (samples * 32767).round().clamp(-32768, 32767) / 32767


class LogMel(nn.Module):
    """Samples `[B, T]` at 24 kHz to centred log-mels `[B, 4 * ceil(T / 960), 80]` at 100 Hz.

    Frame `j` is centred on sample `240 j + 120`: look-ahead is 392 samples (16 ms) beyond its hop.
    The end is zero-padded to whole 40 ms frames.
    """

    window: Tensor
    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(WINDOW_SAMPLES), persistent=False)
        num_bins, half_rate = WINDOW_SAMPLES // 2 + 1, SAMPLE_RATE / 2
        with torch.device("cpu"):  # also when the model is built on the meta device
            filters = torchaudio.functional.melscale_fbanks(
                num_bins, 0.0, half_rate, NUM_MELS, SAMPLE_RATE, "slaney", "slaney"
            )
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        mel = _magnitudes(samples, self.window) @ self.filters * 40.0
        return (mel.clamp_min(FLOOR).log() - _CENTRE) / MEL_SCALE


class SpeechFeatures(nn.Module):
    """Log-mels plus a narrow band, `[B, T]` to `[B, 4 * ceil(T / 960), 128]` at 100 Hz.

    Mels do not resolve the harmonics of low voices; the narrow band (0 to 560 Hz in steps of 12 Hz)
    does, which makes pitch explicit. Look-ahead is 904 samples (38 ms) beyond the hop.
    """

    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()
        self.register_buffer("window", torch.hann_window(NARROW_WINDOW_SAMPLES), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        narrow = _magnitudes(samples, self.window)[..., :NUM_NARROW]
        narrow = (narrow.clamp_min(1e-3).log() + 1.0) / MEL_SCALE
        return torch.cat([self.mel(samples), narrow], dim=-1)


def _magnitudes(samples: Tensor, window: Tensor) -> Tensor:
    missing = -samples.shape[1] % FRAME_SAMPLES
    side = (len(window) - HOP_SAMPLES) // 2
    spectrum = torch.stft(
        F.pad(samples.float(), (side, side + missing)),
        len(window),
        HOP_SAMPLES,
        window=window,
        center=False,
        return_complex=True,
    )
    return spectrum.abs().transpose(1, 2)


def num_frames(num_samples: int) -> int:
    """Number of 40 ms frames that cover `num_samples` samples."""
    return -(-num_samples // FRAME_SAMPLES)
