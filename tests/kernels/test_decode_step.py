"""The compiled step is the reference's, at any size, and reads nothing beyond the past."""

import pytest
import torch
from torch import Tensor

from kernels.decode_step import decode_step, decode_step_reference, decode_steps
from kernels.decode_step.benchmark import random_block, random_cache
from kernels.int8_linear import with_int8_linears
from models.transformer import Transformer


def caches(num_heads: int, width: int, length: int, capacity: int) -> tuple[Tensor, Tensor]:
    """Keys and values, of which nothing behind `length` may be read."""
    keys = random_cache(num_heads, width, capacity)
    values = random_cache(num_heads, capacity, width)
    keys[..., length:] = values[:, length:] = float("nan")
    return keys, values


def turn(width: int) -> tuple[Tensor, Tensor]:
    angles = 7 * torch.rand(width // 2)
    return angles.cos(), angles.sin()


@pytest.mark.parametrize(("num_heads", "width", "inner"), [(4, 64, 704), (3, 6, 5), (1, 2, 1)])
@pytest.mark.parametrize("length", [0, 1, 37])
def test_as_the_reference(num_heads: int, width: int, inner: int, length: int) -> None:
    torch.manual_seed(1)
    dim = num_heads * width
    weights, x, by = random_block(dim, inner), torch.randn(dim), turn(width)
    past = caches(num_heads, width, length, length + 3)
    copies = [each.clone() for each in past]
    given = x.clone()
    made = decode_step(x, weights, by, *past, length)
    wanted = decode_step_reference(x, weights, by, *copies, length)
    assert made.isfinite().all()
    for mine, reference in zip(past, copies, strict=True):
        # A sum in another order may be rounded to the bfloat16 beside.
        torch.testing.assert_close(mine, reference, atol=1e-5, rtol=1 / 128, equal_nan=True)
    torch.testing.assert_close(made, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(x, given, atol=0, rtol=0)


@pytest.mark.parametrize("poisoned", ["input", "keys", "values"])
def test_what_is_not_a_number_does_not_vanish(poisoned: str) -> None:
    torch.manual_seed(2)
    x, keys, values = torch.randn(16), random_cache(2, 8, 9), random_cache(2, 9, 8)
    {"input": x, "keys": keys[1, 3], "values": values[1, 3]}[poisoned][2] = float("nan")
    assert decode_step(x, random_block(16, 8), turn(8), keys, values, 5).isnan().any()


def test_a_full_cache_is_refused() -> None:
    full = random_cache(2, 8, 4), random_cache(2, 4, 8)
    with pytest.raises(ValueError, match="cache is full"):
        decode_step(torch.zeros(16), random_block(16, 8), turn(8), *full, 4)


def test_single_steps_say_what_a_whole_turn_says() -> None:
    torch.manual_seed(3)
    model = Transformer(64, depth=2, num_heads=4, ffn_dim=96).requires_grad_(False)
    x, index = torch.randn(1, 20, 64), torch.arange(20)
    with torch.inference_mode():
        wanted = model(x, index, None)
        with_int8_linears(model)
        past = model.init_state(1, "cpu", torch.float32, capacity=12)
        begun = model(x[:, :9], index[:9], None, past)
        steps = [model(x[:, i : i + 1], index[i : i + 1], None, past) for i in range(9, 20)]
    made = torch.cat([begun, *steps], dim=1)
    assert past[0].length == 20
    assert (made - wanted).norm() < 0.02 * wanted.norm()


@pytest.mark.parametrize(("num_heads", "width", "inner"), [(4, 64, 704), (3, 6, 5), (1, 2, 1)])
@pytest.mark.parametrize("lengths", [[0], [3, 0], [7, 7, 7, 7], [1, 40, 2, 0, 9], list(range(9))])
def test_many_at_once_are_each_what_they_are_alone(
    num_heads: int, width: int, inner: int, lengths: list[int]
) -> None:
    torch.manual_seed(4)
    weights, x = (
        random_block(num_heads * width, inner),
        torch.randn(len(lengths), num_heads * width),
    )
    turns = [turn(width) for _ in lengths]
    pasts = [caches(num_heads, width, length, length + 1 + i) for i, length in enumerate(lengths)]
    copies = [(keys.clone(), values.clone()) for keys, values in pasts]
    by = (torch.stack([cos for cos, _ in turns]), torch.stack([sin for _, sin in turns]))
    keys, values = zip(*pasts, strict=True)
    made = decode_steps(x, weights, by, keys, values, lengths)
    for index, (length, past) in enumerate(zip(lengths, copies, strict=True)):
        alone = decode_step(x[index], weights, turns[index], *past, length)
        # A key or value that lies halfway may be rounded to the other bfloat16.
        torch.testing.assert_close(made[index], alone, atol=2e-4, rtol=1e-5)
        for mine, other in zip(pasts[index], past, strict=True):
            torch.testing.assert_close(mine, other, atol=1e-5, rtol=1 / 128, equal_nan=True)


def test_one_full_cache_among_many_is_refused_before_anything_is_written() -> None:
    pasts = [(random_cache(2, 8, 4), random_cache(2, 4, 8)) for _ in range(3)]
    before = [keys.clone() for keys, _ in pasts]
    keys, values = zip(*pasts, strict=True)
    by = (torch.zeros(3, 4), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="cache is full"):
        decode_steps(torch.zeros(3, 16), random_block(16, 8), by, keys, values, [1, 4, 2])
    assert all(torch.equal(mine, was) for mine, was in zip(keys, before, strict=True))
