"""The network: batches equal single utterances, and its controls work."""

import numpy as np
import pytest
import torch

from data.errors import InputError
from data.synthetic.kokoro.model import Kokoro, Rendering, Request
from tests.data.synthetic.kokoro.tiny_teacher import TINY, tiny_network

STYLE = np.linspace(-1, 1, 2 * TINY.style_dim, dtype=np.float32)
TOKENS = ([3, 17, 30, 12, 5], [9, 9, 21, 40, 33, 8, 2, 14, 25, 7, 19], [11], [4, 5, 6, 50, 44, 31])


@pytest.fixture(scope="module")
def network() -> Kokoro:
    return tiny_network()


def one(network: Kokoro, tokens: list[int], **controls: float) -> Rendering:
    return network.speak([Request(tokens, STYLE, **controls)])[0]


def test_an_utterance_does_not_depend_on_its_batch(network: Kokoro) -> None:
    requests = [Request(tokens, STYLE * (i + 1), seed=i) for i, tokens in enumerate(TOKENS)]
    together = network.speak(requests)
    for request, batched in zip(requests, together, strict=True):
        alone = network.speak([request])[0]
        assert (alone.durations == batched.durations).all()
        assert np.allclose(alone.f0, batched.f0, atol=1e-2)
        assert alone.samples.shape == batched.samples.shape == (alone.durations.sum() * 600,)
        # where rounding turns a phase of the source from pi to minus pi, some samples differ more
        difference = np.abs(alone.samples - batched.samples) / np.ptp(alone.samples)
        assert np.median(difference) < 1e-3
        assert np.corrcoef(alone.samples, batched.samples)[0, 1] > 0.999


def test_utterances_of_one_length_are_a_batch_too(network: Kokoro) -> None:
    first, second = network.speak([Request([3, 4, 5], STYLE), Request([5, 4, 3], STYLE)])
    assert np.allclose(first.samples, one(network, [3, 4, 5]).samples, atol=1e-4)
    assert np.allclose(second.samples, one(network, [5, 4, 3]).samples, atol=1e-4)


@pytest.mark.parametrize("factor", [0.7, 0.94, 1.15, 1.6])
def test_f0_is_scaled(network: Kokoro, factor: float) -> None:
    plain, moved = one(network, TOKENS[1]).f0, one(network, TOKENS[1], f0=factor).f0
    voiced = plain > 40
    assert voiced.any()
    assert np.allclose(moved[voiced], plain[voiced] * factor, rtol=1e-4)


def test_span_moves_f0_about_its_median(network: Kokoro) -> None:
    plain = np.log(one(network, TOKENS[1]).f0)
    wide = np.log(one(network, TOKENS[1], span=2.0).f0)
    flat = np.log(one(network, TOKENS[1], span=0.0).f0)
    middle = np.sort(plain)[(len(plain) - 1) // 2]
    assert np.allclose(wide - middle, 2 * (plain - middle), atol=1e-4)
    assert np.allclose(flat, middle, atol=1e-4)


def test_speed_divides_durations_and_keeps_at_least_one_frame(network: Kokoro) -> None:
    plain = one(network, TOKENS[1]).durations
    fast, slow = (one(network, TOKENS[1], speed=v).durations for v in (4.0, 0.5))
    assert fast.sum() < plain.sum() < slow.sum()
    assert fast.min() >= 1
    assert abs(slow.sum() / plain.sum() - 2) < 0.2


def test_planned_durations_and_f0_equal_the_rendered_ones(network: Kokoro) -> None:
    request = Request(TOKENS[1], STYLE)
    plan, spoken = network.speak([request], sound=False)[0], network.speak([request])[0]
    assert (plan.durations == spoken.durations).all() and (plan.f0 == spoken.f0).all()
    assert plan.samples.size == 0 < spoken.samples.size


def test_a_seed_is_reproducible_and_changes_the_noise(network: Kokoro) -> None:
    first, again, other = (one(network, TOKENS[0], seed=seed).samples for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()


@pytest.mark.parametrize("count", [0, 511, 2000])
def test_too_few_and_too_many_phones_are_rejected(network: Kokoro, count: int) -> None:
    with pytest.raises(InputError, match=f"got {count}"):
        one(network, [1] * count)


def test_inference_does_not_change_weights(network: Kokoro) -> None:
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert isinstance(network.speak([Request([1], STYLE)])[0].samples, np.ndarray)
    assert not torch.is_inference_mode_enabled()
