"""The streaming decoder: latents and a style vector to samples."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from data.errors import InputError
from models.mel import HOP_SAMPLES, MELS_PER_FRAME, SAMPLE_RATE
from models.streaming import CausalConv1d, ConvNeXtStack, ConvState
from models.vocoder.encodec import EncodecDecoder
from models.vocoder.istft import CausalISTFT, CausalSTFT, OverlapState
from models.vocoder.source import Source, SourceState

_MEAN_LOG_F0 = 5.0  # 148 Hz
# Smoothing of the pulse filter by filters per 10 ms, the present one last.
_STEADY = {1: (0.25, 0.5, 0.25), 2: (0.0625, 0.25, 0.375, 0.25, 0.0625)}
_STEADY_HZ = 1000


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
    window: int = 960  # samples that a filter covers; the defaults are those of old weights
    filters: int = 1  # per 10 ms


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


def _hop(config: DecoderConfig) -> int:
    """Samples from one filter to the next."""
    hop = HOP_SAMPLES // max(1, config.filters)
    if config.filters not in _STEADY or config.window % hop or config.window < 3 * hop:
        raise InputError(
            f"the decoder's window is {config.window} samples, with {config.filters} filters per "
            f"10 ms; give {' or '.join(map(str, _STEADY))} filters, and a window of at least three "
            f"times {hop} samples, a multiple of it"
        )
    return hop


class Decoder(nn.Module):
    """Maps latents `[B, T, latent_dim]` at 25 Hz and a style `[B, style_dim]` to samples `[B, 960
    T]`.

    Causal ConvNeXt blocks predict F0 and voicing and, `filters` times per 10 ms, a complex filter
    for a pulse train and a magnitude filter for noise; the filtered spectra are summed and inverted
    (NSF's source-filter model, arXiv 1904.12088, in the STFT domain as in Vocos, arXiv 2306.00814).
    24 kHz, no look-ahead; the output is delayed by `delay_samples`, offline and streaming alike,
    and `flush` returns the rest.
    """

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
        hop = _hop(config)
        self.delay_samples = config.window - hop
        self.num_bins = config.window // 2 + 1
        self.steady_bins = config.window * _STEADY_HZ // SAMPLE_RATE
        self.filter_head = nn.Linear(config.dim, config.filters * 3 * self.num_bins)
        self.source = Source()
        self.analysis = CausalSTFT(config.window, hop)
        self.synthesis = CausalISTFT(config.window, hop)

    def init_state(
        self,
        batch: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> DecoderState:
        past = len(_STEADY[self.config.filters]) - 1
        return DecoderState(
            self.stem.init_state(batch, device, dtype),
            self.frame.init_state(batch, device, dtype),
            self.body.init_state(batch, device, dtype),
            self.source.init_state(batch, device, dtype),
            ConvState(torch.zeros(batch, past, self.steady_bins, device=device)),
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
            Samples `[B, 960 T]`, delayed by `delay_samples`, and the predicted excitation.
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
        heads = self.filter_head(h).float().view(batch, -1, 3, self.num_bins)
        pulse_gain, pulse_phase, noise_gain = heads.unbind(2)
        pulses, noise = self.source(f0, state.source)
        gain = self._steady(_gain(pulse_gain), state.gains)
        pulse_filter = torch.complex(gain * pulse_phase.cos(), gain * pulse_phase.sin())
        spectra = self.analysis(pulses, state.pulses) * pulse_filter
        spectra = spectra + self.analysis(noise, state.noise) * _gain(noise_gain)
        return self.synthesis(spectra, state.output), excitation

    def flush(self, state: DecoderState) -> Tensor:
        """The last `delay_samples` samples, `[B, delay]`; call it after the last latents."""
        return state.output.tail

    def _excitation(self, h: Tensor) -> Excitation:
        heads = self.excitation_head(h).float().view(h.shape[0], -1, 2)
        return Excitation(heads[..., 0] * 0.25 + _MEAN_LOG_F0, heads[..., 1])

    def _steady(self, gain: Tensor, state: ConvState) -> Tensor:
        """Smooths the low bins of a gain `[B, T, bins]` over time. The harmonics of a high voice
        are far apart there; a filter that changes every 10 ms roughens them, and losses with longer
        windows miss it. Above 1 kHz such changes carry phonetic information."""
        low, high = gain.tensor_split([self.steady_bins], dim=-1)
        joined, length = state.join(low), gain.shape[1]
        shares = enumerate(_STEADY[self.config.filters])
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
