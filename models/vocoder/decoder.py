"""The streaming decoder: latents and a style vector to samples."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from models.mel import HOP_SAMPLES, MELS_PER_FRAME
from models.streaming import CausalConv1d, ConvNeXtStack, ConvState
from models.vocoder.encodec import EncodecDecoder
from models.vocoder.istft import CausalISTFT, CausalSTFT, OverlapState
from models.vocoder.source import Source, SourceState

N_FFT = 960
DELAY_SAMPLES = N_FFT - HOP_SAMPLES  # 30 ms
_MEAN_LOG_F0 = 5.0  # 148 Hz
_STEADY = (0.25, 0.5, 0.25)  # smoothing of the pulse filter, this frame last
_STEADY_BINS = 40  # below 1 kHz


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes of the decoder."""

    latent_dim: int = 64
    style_dim: int = 128
    frame_dim: int = 384
    frame_depth: int = 2
    dim: int = 320
    depth: int = 6
    expansion: int = 3


@dataclass
class DecoderState:
    """Streaming state of the decoder."""

    stem: ConvState
    frame: list[ConvState]
    body: list[ConvState]
    source: SourceState
    gains: ConvState
    pulses: OverlapState
    noise: OverlapState
    output: OverlapState


@dataclass
class Excitation:
    """Predicted excitation at 100 Hz, each `[B, 4 T]`: log F0 (of Hz) and a voicing logit."""

    log_f0: Tensor
    voicing: Tensor

    @property
    def f0(self) -> Tensor:
        """F0 in Hz, clamped to the range of voices."""
        return self.log_f0.exp().clamp(40.0, 800.0)


class Decoder(nn.Module):
    """Maps latents `[B, T, latent_dim]` at 25 Hz and a style `[B, style_dim]` to samples `[B, 960
    T]`.

    Causal ConvNeXt blocks predict F0 and voicing and, at 100 Hz, a complex filter for a pulse train
    and a magnitude filter for noise; the filtered spectra are summed and inverted (NSF's
    source-filter model, arXiv 1904.12088, in the STFT domain as in Vocos, arXiv 2306.00814). 24
    kHz, no look-ahead; the output is delayed by `DELAY_SAMPLES` (30 ms), offline and streaming
    alike, and `flush` returns the rest.
    """

    delay_samples = DELAY_SAMPLES
    supports_pitch_rate = True

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = CausalConv1d(config.latent_dim, config.frame_dim, kernel=3)
        self.frame = ConvNeXtStack(
            config.frame_dim, config.frame_depth, condition_dim=config.style_dim
        )
        self.upsample = nn.Linear(config.frame_dim, MELS_PER_FRAME * config.dim)
        self.body = ConvNeXtStack(
            config.dim, config.depth, expansion=config.expansion, condition_dim=config.style_dim
        )
        self.excitation_head = nn.Linear(config.frame_dim, 2 * MELS_PER_FRAME)
        self.norm = nn.LayerNorm(config.dim)
        self.num_bins = N_FFT // 2 + 1
        self.filter_head = nn.Linear(config.dim, 3 * self.num_bins)
        self.source = Source()
        self.analysis = CausalSTFT(N_FFT, HOP_SAMPLES)
        self.synthesis = CausalISTFT(N_FFT, HOP_SAMPLES)

    def init_state(
        self,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> DecoderState:
        return DecoderState(
            self.stem.init_state(batch, device, dtype),
            self.frame.init_state(batch, device, dtype),
            self.body.init_state(batch, device, dtype),
            self.source.init_state(batch, device, dtype),
            ConvState(torch.zeros(batch, len(_STEADY) - 1, _STEADY_BINS, device=device)),
            self.analysis.init_state(batch, device, dtype),
            self.analysis.init_state(batch, device, dtype),
            self.synthesis.init_state(batch, device, dtype),
        )

    def forward(
        self,
        latents: Tensor,
        style: Tensor,
        state: DecoderState | None = None,
        f0: Tensor | None = None,
        pitch: Tensor | float = 1.0,
    ) -> tuple[Tensor, Excitation]:
        """Decodes a chunk.

        Args:
            latents: `[B, T, latent_dim]`.
            style: `[B, style_dim]`.
            state: streaming state; None decodes a complete utterance.
            f0: `[B, 4 T]` in Hz, overrides the prediction (training).
            pitch: factor on the predicted F0, a scalar or per frame `[B, T]`.

        Returns:
            Samples `[B, 960 T]`, delayed by `DELAY_SAMPLES`, and the predicted excitation.
        """
        if state is None:
            state = self.init_state(latents.shape[0], latents.device)
        h = self.frame(self.stem(latents, state.stem), state.frame, style)
        batch, length, _ = h.shape
        excitation = self._excitation(h)
        if isinstance(pitch, Tensor):
            pitch = pitch.repeat_interleave(MELS_PER_FRAME, dim=1)
        f0 = excitation.f0 * pitch if f0 is None else f0
        h = self.upsample(h).view(batch, length * MELS_PER_FRAME, self.config.dim)
        h = self.norm(self.body(h, state.body, style))
        pulse_gain, pulse_phase, noise_gain = self.filter_head(h).float().chunk(3, dim=-1)
        pulses, noise = self.source(f0, state.source)
        gain = _steady(_gain(pulse_gain), state.gains)
        pulse_filter = torch.complex(gain * pulse_phase.cos(), gain * pulse_phase.sin())
        spectra = self.analysis(pulses, state.pulses) * pulse_filter
        spectra = spectra + self.analysis(noise, state.noise) * _gain(noise_gain)
        return self.synthesis(spectra, state.output), excitation

    def flush(self, state: DecoderState) -> Tensor:
        """The last `DELAY_SAMPLES` samples, `[B, 720]`; call it after the last latents."""
        return state.output.tail

    def _excitation(self, h: Tensor) -> Excitation:
        heads = self.excitation_head(h).float().view(h.shape[0], -1, 2)
        return Excitation(heads[..., 0] * 0.25 + _MEAN_LOG_F0, heads[..., 1])


def _steady(gain: Tensor, state: ConvState) -> Tensor:
    """Smooths the low bins of a gain `[B, T, bins]` over time. The harmonics of a high voice are
    far apart there; a filter that changes every 10 ms roughens them, and losses with longer windows
    miss it. Above 1 kHz such changes carry phonetic information."""
    low, high = gain.tensor_split([_STEADY_BINS], dim=-1)
    joined, length = state.join(low), gain.shape[1]
    shares = enumerate(_STEADY)
    low = torch.stack([share * joined[:, i : i + length] for i, share in shares]).sum(0)
    return torch.cat([low, high], dim=-1)


def _gain(logits: Tensor) -> Tensor:
    # Bounded above for stability; starts quiet.
    return (logits - 3.0).clamp(-12.0, 4.0).exp()


def decode_whole(
    decoder: Decoder | EncodecDecoder, latents: Tensor, style: Tensor, pitch: float = 1.0
) -> Tensor:
    """Decodes latents `[B, T, D]` to samples `[B, 960 T]` with the delay compensated."""
    state: Any = decoder.init_state(latents.shape[0], latents.device)
    late, _ = decoder(latents, style, state, pitch=pitch)
    return torch.cat([late, decoder.flush(state)], dim=1)[:, decoder.delay_samples :]
