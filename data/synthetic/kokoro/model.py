"""Kokoro-82M: phones and a voice to 24 kHz speech, with control of durations and F0.

A StyleTTS 2 model (arXiv 2306.07691) with an iSTFTNet decoder (arXiv 2203.02395), inference only.
Implemented here because the published package depends on spaCy and normalises over padding, so that
utterances in a batch affect each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from data.errors import InputError
from data.synthetic.kokoro.blocks import mask_of, silence
from data.synthetic.kokoro.generator import FRAME_SAMPLES, Decoder
from data.synthetic.kokoro.prosody import Albert, ProsodyPredictor, TextEncoder

NUM_SINES = 9
_VOICED_HZ, _LOWEST_HZ, _USUAL_HZ = 40.0, 20.0, 150.0


@dataclass(frozen=True)
class KokoroConfig:
    """Sizes; the defaults are those of Kokoro v1.0."""

    num_symbols: int = 178
    dim: int = 512
    style_dim: int = 128
    num_layers: int = 3
    max_frames: int = 50
    bert_dim: int = 768
    bert_embedding_dim: int = 128
    bert_hidden: int = 2048
    bert_heads: int = 12
    bert_layers: int = 12
    max_tokens: int = 512
    decoder_width: int = 1024
    generator_channels: int = 512


@dataclass(frozen=True)
class Request:
    """One utterance to synthesise.

    Attributes:
        tokens: phone ids, at most `max_tokens - 2`.
        style: the voice `[2 * style_dim]`: timbre, then prosody.
        f0: factor on F0.
        span: factor on the deviation of log-F0 from its median.
        speed: factor on the speaking rate, before durations are rounded to frames.
        seed: random seed of the noise in unvoiced sounds.
        added: frames to add to each token's duration; empty for none.
    """

    tokens: Sequence[int]
    style: np.ndarray
    f0: float = 1.0
    span: float = 1.0
    speed: float = 1.0
    seed: int = 0
    added: Sequence[int] = ()


@dataclass(frozen=True)
class Rendering:
    """One synthesised utterance.

    Attributes:
        samples: `[600 T]` at 24 kHz; empty if only planned.
        durations: frames per token, with the silences before and after, `[N + 2]`.
        f0: in Hz, `[2 T]`; 0 where unvoiced.
    """

    samples: np.ndarray
    durations: np.ndarray
    f0: np.ndarray


class Kokoro(nn.Module):
    """The network; use `speak`."""

    def __init__(self, config: KokoroConfig) -> None:
        super().__init__()
        self.config = config
        dim, style_dim = config.dim, config.style_dim
        self.bert = Albert(
            config.num_symbols, config.bert_dim, config.bert_embedding_dim, config.bert_hidden,
            config.bert_heads, config.bert_layers, config.max_tokens,
        )  # fmt: skip
        self.bert_encoder = nn.Linear(config.bert_dim, dim)
        self.predictor = ProsodyPredictor(dim, style_dim, config.num_layers, config.max_frames)
        self.text_encoder = TextEncoder(config.num_symbols, dim, config.num_layers)
        self.decoder = Decoder(dim, style_dim, config.decoder_width, config.generator_channels)

    @property
    def device(self) -> torch.device:
        return self.bert_encoder.weight.device

    @torch.inference_mode()
    def speak(self, requests: Sequence[Request], sound: bool = True) -> list[Rendering]:
        """Synthesises a batch; utterances do not affect each other, except for rounding.

        Args:
            requests: at least one.
            sound: False computes durations and F0 only, at a fifteenth of the cost.

        Raises:
            InputError: an utterance has no phones, or too many.
        """
        self._check(requests)
        ids, lengths = self._padded([torch.tensor([0, *r.tokens, 0]) for r in requests])
        styles = torch.from_numpy(np.stack([request.style for request in requests]))
        sounds, speaks = styles.float().to(self.device).chunk(2, dim=1)
        features, durations, text = self._encode(ids, lengths, speaks)
        speed = self._column(requests, "speed")
        mask = mask_of(lengths, self.device)
        durations = (durations / speed).round().clamp(min=1) + self._added(requests, ids.shape[1])
        frames = silence(durations[:, None], mask)[:, 0].long()
        counts = frames.sum(1).cpu()
        frame_lengths = None if bool((counts == counts[0]).all()) else counts
        token = _token_of_frame(frames, int(counts.max()))
        spread = features.gather(1, token[..., None].expand(-1, -1, features.shape[-1]))
        f0, energy = self.predictor.curves(spread, speaks, frame_lengths)
        f0 = _moved(f0, self._column(requests, "f0"), self._column(requests, "span"))
        samples = torch.zeros(len(requests), 0)
        if sound:
            text = text.gather(2, token[:, None].expand(-1, text.shape[1], -1))
            text = silence(text, mask_of(frame_lengths, self.device))
            noise = self._noise(requests, counts)
            samples = self.decoder(text, f0, energy, sounds, frame_lengths, noise).cpu()
        return [
            Rendering(
                samples[row, : count * FRAME_SAMPLES].numpy(),
                frames[row, : len(request.tokens) + 2].cpu().numpy(),
                torch.where(f0 > _LOWEST_HZ, f0, 0.0)[row, : 2 * count].cpu().numpy(),
            )
            for row, (request, count) in enumerate(zip(requests, counts.tolist(), strict=True))
        ]

    def _encode(
        self, ids: Tensor, lengths: Tensor | None, speaks: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Features `[B, N, dim + style]`, frames `[B, N]` (real), text `[B, dim, N]`."""
        mask = mask_of(lengths, self.device)
        known = self.bert_encoder(self.bert(ids, mask))
        features, durations = self.predictor.durations(known, speaks, lengths)
        return features, durations, self.text_encoder(ids, lengths, mask)

    def _padded(self, rows: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        lengths = torch.tensor([len(row) for row in rows])
        ids = pad_sequence(rows, batch_first=True).to(self.device)
        return ids, None if bool((lengths == lengths[0]).all()) else lengths

    def _column(self, requests: Sequence[Request], name: str) -> Tensor:
        values = [float(getattr(request, name)) for request in requests]
        return torch.tensor(values, device=self.device)[:, None]

    def _added(self, requests: Sequence[Request], num_tokens: int) -> Tensor:
        """Frames to add to all tokens, including the silences around them, `[B, N]`."""
        frames = torch.zeros(len(requests), num_tokens)
        for row, request in enumerate(requests):
            frames[row, 1 : 1 + len(request.added)] = torch.tensor(request.added)
        return frames.to(self.device)

    def _noise(self, requests: Sequence[Request], counts: Tensor) -> Tensor:
        """Seeded noise per utterance, independent of batch and device."""
        noise = torch.zeros(len(requests), NUM_SINES, int(counts.max()) * FRAME_SAMPLES)
        for row, request in enumerate(requests):
            generator = torch.Generator().manual_seed(request.seed)
            length = int(counts[row]) * FRAME_SAMPLES
            noise[row, :, :length] = torch.randn(NUM_SINES, length, generator=generator)
        return noise.to(self.device)

    def _check(self, requests: Sequence[Request]) -> None:
        most = self.config.max_tokens - 2
        for request in requests:
            if not 1 <= len(request.tokens) <= most:
                raise InputError(
                    f"Kokoro takes 1 to {most} phones at once, got {len(request.tokens)}; "
                    "give a text with words, or split it at sentence ends"
                )


def _token_of_frame(frames: Tensor, num_frames: int) -> Tensor:
    """Frames per token `[B, N]` -> the token of each of `num_frames` frames `[B, T]`."""
    index = torch.arange(num_frames, device=frames.device).expand(len(frames), -1).contiguous()
    token = torch.searchsorted(frames.cumsum(1), index, right=True)
    return token.clamp(max=frames.shape[1] - 1)


def _moved(f0: Tensor, factor: Tensor, span: Tensor) -> Tensor:
    """F0 `[B, T]` in Hz with its log deviation from each row's median scaled by `span`, and all
    multiplied by `factor`."""
    voiced = torch.where(f0 > _VOICED_HZ, f0, torch.nan)
    middle = voiced.nanmedian(1, keepdim=True)[0].nan_to_num(_USUAL_HZ)
    moved = middle * (f0.clamp(min=_LOWEST_HZ) / middle) ** span * factor
    return torch.where(f0 > _LOWEST_HZ, moved, f0)
