"""The compiled stack equals the reference, in any chunks and batches."""

import pytest
import torch
from torch import Tensor

from kernels.convnext import StackWeights, convnext_stack, convnext_stack_reference
from kernels.convnext.cpu import pack

DEPTH, DIM, INNER, TAPS = 3, 20, 44, 5


def weights(depth: int, dim: int, inner: int, taps: int) -> StackWeights:
    torch.manual_seed(1)
    shapes = [(dim, 1, taps), (dim,), (inner, dim), (inner,), (dim, inner), (dim,)]
    return StackWeights(*(torch.randn(depth, *shape) / shape[-1] ** 0.5 for shape in shapes))


def given(batch: int, frames: int, dim: int = DIM, taps: int = TAPS, depth: int = DEPTH) -> tuple:
    torch.manual_seed(2)
    shapes = [(frames, dim), (depth, taps - 1, dim), (depth, dim), (depth, dim)]
    return tuple(torch.randn(batch, *shape) for shape in shapes)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("frames", [0, 1, 2, 4, 50])
@pytest.mark.parametrize(
    ("dim", "inner", "taps"), [(64, 192, 7), (5, 9, 1), (33, 16, 5), (1, 1, 2)]
)
def test_as_the_reference(batch: int, frames: int, dim: int, inner: int, taps: int) -> None:
    those = weights(2, dim, inner, taps)
    x, past, scale, shift = given(batch, frames, dim, taps, 2)
    copies = x.clone(), past.clone()
    for rows in {1, batch}:
        made, kept = convnext_stack(x, past, pack(those), scale[:rows], shift[:rows])
        assert made.shape == x.shape
        assert torch.equal(x, copies[0]) and torch.equal(past, copies[1])
        if frames:
            wanted = convnext_stack_reference(x, past, those, scale[:rows], shift[:rows])
            torch.testing.assert_close((made, kept), wanted, atol=2e-4, rtol=1e-4)
        else:
            assert torch.equal(kept, past)


def test_chunks_and_rows_of_a_batch_are_bit_by_bit_the_whole() -> None:
    packed = pack(weights(DEPTH, DIM, INNER, TAPS))
    x, past, scale, shift = given(4, 30)
    whole, kept = convnext_stack(x, past, packed, scale, shift)
    for row in range(4):
        one, before, pieces = slice(row, row + 1), past[row : row + 1], []
        for piece in x[one].split([1, 1, 2, 7, 3, 16], 1):
            made, before = convnext_stack(piece, before, packed, scale[one], shift[one])
            pieces.append(made)
        assert torch.equal(torch.cat(pieces, 1)[0], whole[row])
        assert torch.equal(before[0], kept[row])


def test_inputs_that_are_not_contiguous() -> None:
    packed = pack(weights(DEPTH, DIM, INNER, TAPS))
    inputs = given(2, 9)
    turned: list[Tensor] = [each.transpose(1, -1).contiguous().transpose(1, -1) for each in inputs]
    both = (convnext_stack(x, past, packed, *rest) for x, past, *rest in (inputs, turned))
    for made, wanted in zip(*both, strict=True):
        assert torch.equal(made, wanted)


def test_what_is_not_a_number_does_not_vanish() -> None:
    x, past, scale, shift = given(1, 9)
    x[0, 4, 3] = torch.nan
    made, _ = convnext_stack(x, past, pack(weights(DEPTH, DIM, INNER, TAPS)), scale, shift)
    assert made.isnan().all(-1)[0].tolist() == [False] * 4 + [True] * 5
