"""Frames to sound, streamed: codes to latents, time scaling and decoder in a row."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from data.errors import InputError
from models.vocoder.acoustic_decoder import AcousticDecoder
from models.vocoder.decoder import Decoder
from models.vocoder.encodec import EncodecDecoder
from models.vocoder.prior import Prior


class TimeScale:
    """Latents `[1, T, D]` chunk by chunk, played `rate` times as fast, by linear interpolation."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.position = 0.0  # of the next output, in input frames
        self.first = 0  # the input frame that `held` begins with
        self.held: Tensor | None = None

    def __call__(self, latents: Tensor, last: bool) -> Tensor:
        if self.rate == 1.0:
            return latents
        held = latents if self.held is None else torch.cat([self.held, latents], dim=1)
        end = self.first + held.shape[1] - 1
        places = []
        while self.position < end or (last and self.position < end + 1):
            places.append(self.position - self.first)
            self.position += self.rate
        keep_from = min(int(self.position) - self.first, held.shape[1] - 1)
        self.held, self.first = held[:, keep_from:], self.first + keep_from
        if not places:
            return held[:, :0]
        where = torch.tensor(places, device=held.device)
        low = where.floor().long().clamp(max=held.shape[1] - 1)
        high = (low + 1).clamp(max=held.shape[1] - 1)
        share = (where - low)[None, :, None].to(held.dtype)
        return held[:, low] * (1 - share) + held[:, high] * share


@dataclass
class Manner:
    """What is asked for on top of what the dialogue asks for; each a factor, 1 changes nothing."""

    pitch: float = 1.0
    rate: float = 1.0
    energy: float = 1.0


def check_manner(decoder: Decoder | EncodecDecoder, manner: Manner) -> None:
    """Refuses what a decoder cannot do.

    Raises:
        InputError: it cannot change pitch or rate as `manner` asks.
    """
    if not decoder.bends and (manner.pitch, manner.rate) != (1.0, 1.0):
        raise InputError("EnCodec's decoder changes neither pitch nor rate: leave both at 1")


class Synthesis:
    """One stream of speech in one voice; `way` makes latents of codes; without
    one the frames are latents already.

    `push` takes frames and gives the samples that are finished, `[n]`; `finish` the rest. Sample
    `960 t` belongs to the beginning of frame `t` (at rate 1): the decoder's delay is taken out.

    Raises:
        InputError: see `check_manner`.
    """

    def __init__(
        self,
        way: Prior | AcousticDecoder | None,
        decoder: Decoder | EncodecDecoder,
        style: Tensor,
        manner: Manner,
        temperature: float,
        guidance: float = 0.0,
    ) -> None:
        check_manner(decoder, manner)
        device = style.device
        self.way, self.decoder, self.manner = way, decoder, manner
        self.style = style[None]
        self.temperature = temperature
        self.way_state: Any = way and way.init_state(1, device, guidance=guidance)
        self.decoder_state: Any = decoder.init_state(1, device)
        self.time_scale = TimeScale(manner.rate)
        self.late = decoder.delay_samples

    @torch.inference_mode()
    def push(self, frames: Tensor, phones: Tensor, last: bool = False) -> Tensor:
        """Codes `[T]` or latents `[T, latent_dim]`, with the phones around the pointer `[T, 3]`, to
        samples `[n]`."""
        latents = frames[None].to(self.style.device)
        if self.way is not None:
            around = phones[None].to(self.style.device)
            latents = self.way(latents, around, self.style, self.way_state, self.temperature, last)
        latents = self.time_scale(latents, last)
        if latents.shape[1] == 0 and not last:
            return latents.new_zeros(0)
        pieces = []
        if latents.shape[1]:
            samples, _ = self.decoder(
                latents, self.style, self.decoder_state, pitch=self.manner.pitch
            )
            pieces.append(samples[0])
        if last:
            pieces.append(self.decoder.flush(self.decoder_state)[0])
        joined = torch.cat(pieces)
        cut = min(self.late, len(joined))
        self.late -= cut
        return soft_limit(joined[cut:] * self.manner.energy)


def soft_limit(samples: Tensor) -> Tensor:
    """Leaves samples below 0.8 as they are and bends what is above so that it stays below 1."""
    over = (samples.abs() - 0.8).clamp_min(0.0)
    bent = 0.8 + 0.2 * torch.tanh(over / 0.2)
    return torch.where(over > 0, bent * samples.sign(), samples)
