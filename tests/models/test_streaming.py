"""Chunks equal the whole, and look-ahead is as stated."""

import pytest
import torch

from data.errors import InputError
from models.streaming import CausalConv1d, ConvNeXtStack
from models.vocoder.decoder import Decoder, DecoderConfig
from models.vocoder.istft import CausalISTFT, CausalSTFT
from models.vocoder.lookahead import DROPPED, LOOKAHEAD_FRAMES
from models.vocoder.source import Source

SPLITS = [1, 1, 3, 7, 2, 10]
LENGTH = sum(SPLITS)
CPU, FLOAT = torch.device("cpu"), torch.float32


@pytest.mark.parametrize("module", [CausalConv1d(6, 5, 4), ConvNeXtStack(6, 2, kernel=5)])
def test_convolutions_stream(module: torch.nn.Module) -> None:
    x = torch.randn(2, LENGTH, 6)
    state = module.init_state(2, CPU, FLOAT)
    streamed = torch.cat([module(piece, state) for piece in x.split(SPLITS, 1)], 1)
    torch.testing.assert_close(streamed, module(x), atol=1e-5, rtol=0)


def test_convolutions_are_causal() -> None:
    module = ConvNeXtStack(6, 2, kernel=5)
    x = torch.randn(1, LENGTH, 6, requires_grad=True)
    module(x)[:, 9].sum().backward()
    assert x.grad is not None
    assert x.grad[:, 10:].abs().max() == 0
    assert x.grad[:, 9].abs().max() > 0


def test_source_streams_and_has_unit_power() -> None:
    source = Source()
    f0 = torch.linspace(80, 300, LENGTH * 4)[None]
    pulses, noise = source(f0)
    state = source.init_state(1, CPU, FLOAT)
    pieces = [source(piece, state) for piece in f0.split([4 * n for n in SPLITS], 1)]
    torch.testing.assert_close(torch.cat([p for p, _ in pieces], 1), pulses, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.cat([n for _, n in pieces], 1), noise, atol=0, rtol=0)
    steady, _ = source(torch.full((1, 400), 110.0))
    assert abs(float(steady.square().mean()) - 1) < 0.05


def test_source_is_band_limited_and_has_the_right_pitch() -> None:
    pulses, _ = Source()(torch.full((1, 100), 200.0))
    spectrum = torch.fft.rfft(pulses[0] * torch.hann_window(pulses.shape[1])).abs()
    hertz = torch.arange(len(spectrum)) * 24_000 / pulses.shape[1]
    off = ((hertz % 200.0) > 15) & ((hertz % 200.0) < 185)
    assert spectrum[off].max() < 0.01 * spectrum.max()


@pytest.mark.parametrize(("window", "hop"), [(960, 240), (480, 120)])
def test_istft_inverts_stft_with_delay(window: int, hop: int) -> None:
    forward, back = CausalSTFT(window, hop), CausalISTFT(window, hop)
    x = torch.randn(2, 240 * LENGTH)
    states = (forward.init_state(2, CPU, FLOAT), back.init_state(2, CPU, FLOAT))
    pieces = [
        back(forward(piece, states[0]), states[1])
        for piece in x.split([240 * n for n in SPLITS], 1)
    ]
    streamed = torch.cat(pieces, 1)
    torch.testing.assert_close(streamed, back(forward(x)), atol=1e-5, rtol=0)
    late = window - hop
    torch.testing.assert_close(streamed[:, late:], x[:, :-late], atol=1e-5, rtol=0)


def test_decoder_streams(decoder) -> None:
    latents, style = torch.randn(1, LENGTH, 8), torch.randn(1, 16)
    f0 = torch.full((1, 4 * LENGTH), 120.0)
    whole, excitation = decoder(latents, style, f0=f0)
    state = decoder.init_state(1)
    at, pieces, pitches = 0, [], []
    for piece in latents.split(SPLITS, 1):
        stop = at + piece.shape[1]
        samples, heard = decoder(piece, style, state, f0=f0[:, 4 * at : 4 * stop])
        pieces.append(samples)
        pitches.append(heard.log_f0)
        at = stop
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.cat(pitches, 1), excitation.log_f0, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("window", "filters"), [(480, 1), (500, 2), (960, 3), (960, 0)])
def test_filters_that_do_not_overlap_are_refused(window: int, filters: int) -> None:
    with pytest.raises(InputError, match="window"):
        Decoder(DecoderConfig(window=window, filters=filters))


def test_decoder_is_causal(decoder) -> None:
    latents, style = torch.randn(1, LENGTH, 8, requires_grad=True), torch.randn(1, 16)
    samples, _ = decoder(latents, style)
    samples[:, 960 * 9 : 960 * 10].sum().backward()
    assert latents.grad[:, 10:].abs().max() == 0


def test_low_bins_of_the_filter_are_smoothed(decoder) -> None:
    def samples_of(gains: list[float]) -> torch.Tensor:
        def filters(_module, _inputs, output: torch.Tensor) -> torch.Tensor:
            logits = torch.full_like(output, -100.0)
            heads = logits.view(1, -1, 3, decoder.num_bins)
            turns = torch.tensor(gains).repeat(heads.shape[1] // 2)
            heads[:, :, 0, : decoder.steady_bins] = turns[:, None].log() + 3
            heads[:, :, 1] = 0.0
            return logits

        hook = decoder.filter_head.register_forward_hook(filters)
        made, _ = decoder(torch.zeros(1, LENGTH, 8), torch.zeros(1, 16), f0=f0)
        hook.remove()
        return made[:, 960 * 2 :]

    f0 = torch.full((1, 4 * LENGTH), 190.0)
    torch.testing.assert_close(samples_of([1.5, 0.5]), samples_of([1.0, 1.0]), atol=1e-4, rtol=0)


def test_decoder_resumes_from_a_saved_state(decoder) -> None:
    import copy

    latents, style = torch.randn(1, LENGTH, 8), torch.randn(1, 16)
    state = decoder.init_state(1)
    decoder(latents[:, :10], style, state)
    saved = copy.deepcopy(state)
    torch.testing.assert_close(
        decoder(latents[:, 10:], style, state)[0], decoder(latents[:, 10:], style, saved)[0]
    )


def test_renderers_stream(latents_of) -> None:
    codes, phones = torch.randint(0, 16, (1, LENGTH)), torch.randint(0, 40, (1, LENGTH, 3))
    style = torch.randn(1, 16)
    whole = latents_of(codes, phones, style)
    state = latents_of.init_state(1)
    pieces = []
    parts = list(zip(codes.split(SPLITS, 1), phones.split(SPLITS, 1), strict=True))
    for index, (some_codes, some_phones) in enumerate(parts):
        last = index == len(parts) - 1
        pieces.append(latents_of(some_codes, some_phones, style, state, last=last))
    assert pieces[0].shape[1] == 0
    torch.testing.assert_close(torch.cat(pieces, 1), whole, atol=1e-5, rtol=0)


def test_renderers_have_the_stated_look_ahead(latents_of) -> None:
    found = []
    for seed in range(20):  # a single changed code may not change the nearest ones
        torch.manual_seed(seed)
        codes, phones = torch.randint(0, 16, (1, LENGTH)), torch.randint(0, 40, (1, LENGTH, 3))
        style = torch.randn(1, 16)
        before = latents_of(codes, phones, style)
        changed = codes.clone()
        changed[:, 12] = (changed[:, 12] + 1) % 16
        after = latents_of(changed, phones, style)
        found.append(int((before - after).abs().amax(-1)[0].nonzero()[0]))
    assert min(found) == 12 - LOOKAHEAD_FRAMES


def test_classifier_free_guidance_of_the_prior(prior) -> None:
    codes, phones = torch.randint(0, 16, (1, LENGTH)), torch.randint(0, 40, (1, LENGTH, 3))
    style = torch.randn(1, 16)

    def latents(phones: torch.Tensor, guidance: float) -> torch.Tensor:
        return prior(codes, phones, style, prior.init_state(1, guidance=guidance))

    told, untold = latents(phones, 1.0), latents(torch.full_like(phones, DROPPED), 1.0)
    assert not torch.allclose(told, untold)
    led = latents(phones, 1.5)
    torch.testing.assert_close(led, untold + 1.5 * (told - untold), atol=1e-5, rtol=1e-5)


def test_prior_is_invertible(prior) -> None:
    """Running the flow backwards over its own sample recovers the noise."""
    prior.guidance = 1.0
    codes, phones = torch.randint(0, 16, (1, LENGTH)), torch.randint(0, 40, (1, LENGTH, 3))
    style = torch.randn(1, 16)
    drawn = prior(codes, phones, style, temperature=1.0)
    noise = prior.noise[:LENGTH]
    condition = prior.offline_condition(prior.codes(codes), phones, style)
    _, log_std = prior._base(condition)
    shift_free = prior.log_prob(drawn, codes, phones, style)
    log_det = 0.0
    z = drawn
    from models.vocoder.prior import _halves, _joined

    for index, coupling in enumerate(prior.couplings):
        fixed, moved = _halves(z, index)
        shift, log_scale = coupling.parameters_from(fixed, condition, None)
        z = _joined(fixed, (moved - shift) * (-log_scale).exp(), index)
        log_det = log_det - log_scale.sum(-1)
    expected = (-0.5 * (noise.square() + 1.8378770664) - log_std).sum(-1) + log_det
    torch.testing.assert_close(shift_free, expected, atol=1e-3, rtol=1e-4)
