"""Frames to sound, streamed: codes to latents, time scaling and decoder in a row."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from data.errors import InputError
from models.delivery.delivery import Delivery
from models.mel import FRAME_SAMPLES, HOP_SAMPLES
from models.vocoder.acoustic_decoder import AcousticDecoder
from models.vocoder.decoder import Decoder
from models.vocoder.encodec import EncodecDecoder
from models.vocoder.prior import Prior

_RAMP_SAMPLES = HOP_SAMPLES  # 10 ms: a factor that jumps would click


class TimeScale:
    """Latents `[1, T, D]` chunk by chunk, each played at a rate of its own, by linear
    interpolation. Nothing is held back until a rate is not 1."""

    def __init__(self) -> None:
        self.position = 0.0  # of the next output, in input frames
        self.first = 0  # the input frame that `held` begins with
        self.held: Tensor | None = None
        self.rates: list[float] = []  # of the frames in `held`

    def __call__(
        self, latents: Tensor, rates: Sequence[float], last: bool
    ) -> tuple[Tensor, list[int]]:
        """Frames with the rate of each, to the scaled frames and the input frame of each."""
        if self.held is None and all(rate == 1.0 for rate in rates):
            start, self.first = self.first, self.first + len(rates)
            self.position = float(self.first)
            return latents, list(range(start, self.first))
        held = latents if self.held is None else torch.cat([self.held, latents], dim=1)
        self.rates.extend(rates)
        end = self.first + held.shape[1] - 1
        places, origins = [], []
        while self.position < end or (last and self.position < end + 1):
            origins.append(int(self.position))
            places.append(self.position - self.first)
            self.position += self.rates[origins[-1] - self.first]
        keep_from = min(int(self.position) - self.first, held.shape[1] - 1)
        self.held, self.rates = held[:, keep_from:], self.rates[keep_from:]
        self.first += keep_from
        if not places:
            return held[:, :0], []
        where = torch.tensor(places, device=held.device)
        low = where.floor().long().clamp(max=held.shape[1] - 1)
        high = (low + 1).clamp(max=held.shape[1] - 1)
        share = (where - low)[None, :, None].to(held.dtype)
        return held[:, low] * (1 - share) + held[:, high] * share, origins


def check_delivery(decoder: Decoder | EncodecDecoder, delivery: Delivery) -> None:
    """Refuses what a decoder cannot do.

    Raises:
        InputError: it cannot change pitch or rate as `delivery` asks.
    """
    if not decoder.bends and (delivery.pitch, delivery.rate) != (1.0, 1.0):
        raise InputError("EnCodec's decoder changes neither pitch nor rate: leave both at 1")


class Synthesis:
    """One stream of speech in one voice; `way` makes latents of codes; without
    one the frames are latents already.

    `push` takes frames and gives the samples that are finished, `[n]`; `finish` the rest. Sample
    `960 t` belongs to the beginning of frame `t` (at rate 1): the decoder's delay is taken out.

    Raises:
        InputError: see `check_delivery`.
    """

    def __init__(
        self,
        way: Prior | AcousticDecoder | None,
        decoder: Decoder | EncodecDecoder,
        style: Tensor,
        delivery: Delivery,
        temperature: float,
        guidance: float = 0.0,
    ) -> None:
        check_delivery(decoder, delivery)
        device = style.device
        self.way, self.decoder, self.delivery = way, decoder, delivery
        self.style = style[None]
        self.temperature = temperature
        self.way_state: Any = way and way.init_state(1, device, guidance=guidance)
        self.decoder_state: Any = decoder.init_state(1, device)
        self.time_scale = TimeScale()
        self.late = decoder.delay_samples
        self._deliveries: list[Delivery] = []  # of all frames that came in
        self._num_latents = 0
        self._gain = Gain()

    @property
    def begun(self) -> bool:
        """Whether any frame has come in."""
        return bool(self._deliveries)

    @torch.inference_mode()
    def push(
        self,
        frames: Tensor,
        phones: Tensor,
        last: bool = False,
        deliveries: Sequence[Delivery] | None = None,
    ) -> Tensor:
        """Codes `[T]` or latents `[T, latent_dim]`, with the phones around the pointer `[T, 3]`, to
        samples `[n]`; `deliveries` are those of the frames, by default the stream's own."""
        self._deliveries.extend(deliveries or [self.delivery] * len(frames))
        latents = frames[None].to(self.style.device)
        if self.way is not None:
            around = phones[None].to(self.style.device)
            latents = self.way(latents, around, self.style, self.way_state, self.temperature, last)
        begun = self._num_latents
        self._num_latents += latents.shape[1]
        rates = [one.rate for one in self._deliveries[begun : self._num_latents]]
        latents, origins = self.time_scale(latents, rates, last)
        if latents.shape[1] == 0 and not last:
            return latents.new_zeros(0)
        delivered = [self._deliveries[origin] for origin in origins]
        pieces, position = [], 0
        for pitch, group in groupby(delivered, key=lambda delivery: delivery.pitch):
            end = position + len(list(group))
            chunk = latents[:, position:end]
            samples, _ = self.decoder(chunk, self.style, self.decoder_state, pitch=pitch)
            pieces.append(samples[0])
            position = end
        if last:
            pieces.append(self.decoder.flush(self.decoder_state)[0])
        joined = torch.cat(pieces)
        cut = min(self.late, len(joined))
        self.late -= cut
        energies = [delivery.energy for delivery in delivered]
        return soft_limit(self._gain(joined[cut:], energies))


class Gain:
    """Factors of frames on samples that come later, with a ramp where the factor changes."""

    def __init__(self) -> None:
        self._factors: list[float] = []
        self._num_samples = 0

    def __call__(self, samples: Tensor, factors: Sequence[float]) -> Tensor:
        """The next samples `[n]`; `factors` are those of frames that begin behind the last."""
        self._factors.extend(factors)
        first = self._num_samples // FRAME_SAMPLES
        self._num_samples += len(samples)
        last = max(first, (self._num_samples - 1) // FRAME_SAMPLES)
        used = self._factors[max(0, first - 1) : last + 1]
        if len(set(used)) <= 1:
            return samples * (used[0] if used else 1.0)
        each = torch.tensor(self._factors, device=samples.device)
        position = torch.arange(len(samples), device=samples.device)
        position += self._num_samples - len(samples)
        frame = (position // FRAME_SAMPLES).clamp(max=len(each) - 1)
        before = each[(frame - 1).clamp_min(0)]
        share = ((position % FRAME_SAMPLES) / _RAMP_SAMPLES).clamp(max=1.0)
        return samples * torch.lerp(before, each[frame], share)


def soft_limit(samples: Tensor) -> Tensor:
    """Leaves samples below 0.8 as they are and bends what is above so that it stays below 1."""
    over = (samples.abs() - 0.8).clamp_min(0.0)
    bent = 0.8 + 0.2 * torch.tanh(over / 0.2)
    return torch.where(over > 0, bent * samples.sign(), samples)
