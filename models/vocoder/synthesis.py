"""Streaming synthesis: frames to latents, time scaling, decoder."""

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from data.errors import InputError
from models.batching import join_states, split_states
from models.delivery.delivery import Delivery
from models.mel import FRAME_SAMPLES, HOP_SAMPLES
from models.vocoder.decoder import Decoder
from models.vocoder.encodec import EncodecDecoder
from models.vocoder.renderers import Renderer

_RAMP_SAMPLES = HOP_SAMPLES  # 10 ms, against clicks


class TimeScale:
    """Changes the rate of streamed latents `[1, T, D]` per frame, by linear interpolation. Nothing
    is held back until a rate differs from 1."""

    def __init__(self) -> None:
        self.position = 0.0  # of the next output frame, in input frames
        self.first = 0  # input frame index of `held[:, 0]`
        self.held: Tensor | None = None
        self.rates: list[float] = []  # of the frames in `held`

    def __call__(
        self, latents: Tensor, rates: Sequence[float], last: bool
    ) -> tuple[Tensor, list[int]]:
        """Scales frames with a rate each; returns the frames and the input frame of each."""
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
    """Checks that a decoder supports a delivery.

    Raises:
        InputError: the decoder cannot change pitch or rate.
    """
    if not decoder.supports_pitch_rate and (delivery.pitch, delivery.rate) != (1.0, 1.0):
        raise InputError("EnCodec's decoder changes neither pitch nor rate: leave both at 1")


class Synthesis:
    """One stream of speech in one voice.

    `push` takes frames and returns finished samples `[n]`, on the CPU. Sample `960 t` is the start
    of frame `t` (at rate 1): the decoder's delay is compensated.

    Raises:
        InputError: see `check_delivery`.
    """

    def __init__(
        self,
        renderer: Renderer,
        decoder: Decoder | EncodecDecoder,
        style: Tensor,
        delivery: Delivery,
        temperature: float,
        guidance: float = 0.0,
    ) -> None:
        check_delivery(decoder, delivery)
        device = style.device
        self.renderer, self.decoder, self.delivery = renderer, decoder, delivery
        self.style = style[None]
        self.temperature, self.guidance = temperature, guidance
        self.renderer_state: Any = renderer.init_state(1, device, guidance=guidance)
        self.decoder_state: Any = decoder.init_state(1, device)
        self.time_scale = TimeScale()
        self.late = decoder.delay_samples
        self._deliveries: list[Delivery] = []  # of all input frames
        self._rates: set[float] = set()  # all rates so far
        self._num_latents = 0
        self._gain = Gain()

    @property
    def begun(self) -> bool:
        """Whether any frame has been pushed."""
        return bool(self._deliveries)

    def kind(self, deliveries: Sequence[Delivery]) -> Hashable:
        """Batching key: streams with equal keys can be pushed together, given equally many frames
        with these deliveries."""
        rates = self._rates | {one.rate for one in deliveries}
        if rates - {1.0} or not isinstance(self.decoder, Decoder):
            return id(self)  # time scaling or EnCodec: cannot be batched
        return id(self.renderer), self.temperature, self.guidance, self.begun

    def push(
        self,
        frames: Tensor,
        phones: Tensor,
        last: bool = False,
        deliveries: Sequence[Delivery] | None = None,
    ) -> Tensor:
        """Synthesises samples `[n]` from codes `[T]` or latents `[T, latent_dim]`.

        Args:
            frames: the next frames.
            phones: symbols around the pointer, `[T, 3]`.
            last: no more frames follow.
            deliveries: one per frame; default: the stream's own.
        """
        given = [self.delivery] * len(frames) if deliveries is None else deliveries
        return push_together([self], [frames], [phones], [given], last)[0]

    def take_in(self, deliveries: Sequence[Delivery]) -> None:
        """Records the deliveries of the next frames."""
        self._deliveries.extend(deliveries)
        self._rates |= {one.rate for one in deliveries}

    def scaled(self, latents: Tensor, last: bool) -> tuple[Tensor, list[Delivery]]:
        """Time-scales the next latents `[1, T, D]`; returns them and their deliveries."""
        begun = self._num_latents
        self._num_latents += latents.shape[1]
        rates = [one.rate for one in self._deliveries[begun : self._num_latents]]
        latents, origins = self.time_scale(latents, rates, last)
        return latents, [self._deliveries[origin] for origin in origins]

    def finish(self, samples: Tensor, delivered: list[Delivery]) -> Tensor:
        """Post-processes decoder samples `[n]`: delay, energy, limiter."""
        cut = min(self.late, len(samples))
        self.late -= cut
        return soft_limit(self._gain(samples[cut:], [delivery.energy for delivery in delivered]))


@torch.inference_mode()
def push_together(
    streams: Sequence[Synthesis],
    frames: Sequence[Tensor],
    phones: Sequence[Tensor],
    deliveries: Sequence[Sequence[Delivery]],
    last: bool = False,
) -> list[Tensor]:
    """`Synthesis.push` for a batch of streams with equal `kind`, each with equally many frames.

    Streams are independent up to rounding.
    """
    first, count = streams[0], len(streams)
    for stream, given in zip(streams, deliveries, strict=True):
        stream.take_in(given)
    style = torch.cat([stream.style for stream in streams])
    rows = torch.stack(list(frames)).to(style.device)
    around = torch.stack(list(phones)).to(style.device)
    state = join_states([stream.renderer_state for stream in streams])
    latents = first.renderer(rows, around, style, state, first.temperature, last)
    for stream, part in zip(streams, split_states(state, count), strict=True):
        stream.renderer_state = part
    parts = [
        stream.scaled(row, last) for stream, row in zip(streams, latents.split(1), strict=True)
    ]
    latents = torch.cat([scaled for scaled, _ in parts])
    made = _decoded(streams, latents, style, [delivered for _, delivered in parts], last)
    return [
        stream.finish(samples, delivered)
        for stream, samples, (_, delivered) in zip(streams, made, parts, strict=True)
    ]


def _decoded(
    streams: Sequence[Synthesis],
    latents: Tensor,
    style: Tensor,
    delivered: Sequence[Sequence[Delivery]],
    last: bool,
) -> list[Tensor]:
    """Decodes latents `[B, T, latent_dim]` with a delivery per frame; with `last` also flushes.
    The samples are on the CPU."""
    decoder = streams[0].decoder
    state = join_states([stream.decoder_state for stream in streams])
    made = latents.new_zeros(len(streams), 0)
    if latents.shape[1]:  # none yet while the look-ahead fills
        pitches = [[delivery.pitch for delivery in row] for row in delivered]
        bent = any(pitch != 1.0 for row in pitches for pitch in row)
        pitch = torch.tensor(pitches, device=latents.device) if bent else 1.0
        made, _ = decoder(latents, style, state, pitch=pitch)
    if last:
        made = torch.cat([made, decoder.flush(state)], dim=1)
    for stream, part in zip(streams, split_states(state, len(streams)), strict=True):
        stream.decoder_state = part
    return list(made.cpu())  # all at once: each transfer waits for the device


class Gain:
    """Per-frame gain on samples that arrive later, with a ramp where it changes."""

    def __init__(self) -> None:
        self._factors: list[float] = []
        self._num_samples = 0

    def __call__(self, samples: Tensor, factors: Sequence[float]) -> Tensor:
        """Scales the next samples `[n]`; `factors` are those of the frames pushed with them."""
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
    """Soft limiter: leaves samples below 0.8 unchanged and compresses the rest below 1."""
    over = (samples.abs() - 0.8).clamp_min(0.0)
    bent = 0.8 + 0.2 * torch.tanh(over / 0.2)
    return torch.where(over > 0, bent * samples.sign(), samples)
