"""The compiled operation equals the reference, alone and in a batch, and passes gradients."""

import pytest
import torch
from torch import Tensor

from kernels.depthwise_norm import depthwise_norm, depthwise_norm_reference


def given(batch: int, frames: int, dim: int, taps: int, rows: int) -> list[Tensor]:
    torch.manual_seed(1)
    shapes = [(batch, taps - 1 + frames, dim), (dim, 1, taps), (dim,), (rows, dim), (rows, dim)]
    return [torch.randn(shape) for shape in shapes]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("frames", [0, 1, 2, 65])
@pytest.mark.parametrize(("dim", "taps"), [(320, 7), (5, 1), (33, 5), (1, 2)])
def test_as_the_reference(batch: int, frames: int, dim: int, taps: int) -> None:
    for rows in {1, batch}:
        inputs = given(batch, frames, dim, taps, rows)
        made = depthwise_norm(*inputs)
        if frames:
            wanted = depthwise_norm_reference(*inputs)
            torch.testing.assert_close(made, wanted, atol=2e-4, rtol=1e-4)
        assert made.shape == (batch, frames, dim)


def test_rows_of_a_batch_are_bit_by_bit_what_they_are_alone() -> None:
    x, weight, bias, scale, shift = given(5, 9, 64, 7, 5)
    together = depthwise_norm(x, weight, bias, scale, shift)
    for row in range(5):
        one = slice(row, row + 1)
        alone = depthwise_norm(x[one], weight, bias, scale[one], shift[one])
        assert torch.equal(alone[0], together[row])


def test_inputs_that_are_not_contiguous_and_a_convolution_without_bias() -> None:
    x, weight, _, scale, shift = given(2, 9, 64, 7, 2)
    turned = x.transpose(1, 2).contiguous().transpose(1, 2)
    made = depthwise_norm(turned, weight, None, scale, shift)
    wanted = depthwise_norm_reference(x, weight, None, scale, shift)
    torch.testing.assert_close(made, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("place", [0, 6, 14])
def test_what_is_not_a_number_spoils_just_the_frames_that_hear_it(place: int) -> None:
    inputs = given(1, 9, 16, 7, 1)
    inputs[0][0, place, 3] = float("nan")
    spoilt = depthwise_norm(*inputs).isnan().all(-1)[0].tolist()
    assert spoilt == [place - 6 <= frame <= place for frame in range(9)]


@pytest.mark.parametrize("which", range(5))
def test_gradients(which: int) -> None:
    inputs = [
        each.clone().requires_grad_(index == which)
        for index, each in enumerate(given(2, 3, 8, 5, 2))
    ]
    depthwise_norm(*inputs).square().sum().backward()
    gradient = inputs[which].grad
    assert gradient is not None and gradient.abs().max() > 0
