"""The compiled step equals the reference at any size, and reads nothing beyond the past."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.decode_step import BlockWeights, decode_step_reference, decode_steps, pack
from kernels.decode_step.benchmark import random_block, random_cache
from kernels.int8_linear import with_int8_linears
from models.transformer import Transformer

DEPTH = 2
SIZES = [(4, 64, 704), (3, 6, 5), (1, 2, 1)]  # heads, their width, inner width

Caches = list[list[Tensor]]  # by sequence and block


def caches(
    num_heads: int, width: int, lengths: list[int], room: int, depth: int = DEPTH
) -> tuple[Caches, Caches]:
    """Keys and values of different capacities; nothing beyond the lengths may be read."""
    keys: Caches = [
        [random_cache(num_heads, width, length + room + index) for _ in range(depth)]
        for index, length in enumerate(lengths)
    ]
    values = [[random_cache(*each.transpose(1, 2).shape) for each in several] for several in keys]
    for length, some, others in zip(lengths, keys, values, strict=True):
        for each, other in zip(some, others, strict=True):
            each[..., length:] = other[:, length:] = float("nan")
    return keys, values


def copied(those: Caches) -> Caches:
    return [[each.clone() for each in several] for several in those]


def frequencies(width: int) -> Tensor:
    return torch.rand(width // 2, generator=torch.Generator().manual_seed(5))


def by_reference(
    x: Tensor,
    blocks: list[BlockWeights],
    norm: Tensor,
    position: int,
    keys: list[Tensor],
    values: list[Tensor],
    length: int,
) -> Tensor:
    """One sequence `[T, dim]`, position by position."""
    made = []
    for place, h in enumerate(x):
        angles = (position + place) * frequencies(keys[0].shape[1])
        for weights, key, value in zip(blocks, keys, values, strict=True):
            h = decode_step_reference(
                h, weights, (angles.cos(), angles.sin()), key, value, length + place
            )
        made.append(F.layer_norm(h, h.shape, norm))
    return torch.stack(made)


@pytest.mark.parametrize(("num_heads", "width", "inner"), SIZES)
@pytest.mark.parametrize("lengths", [[0], [37], [3, 0, 20]])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_as_the_reference(
    num_heads: int, width: int, inner: int, lengths: list[int], count: int
) -> None:
    torch.manual_seed(1)
    dim = num_heads * width
    blocks, norm = [random_block(dim, inner) for _ in range(DEPTH)], torch.rand(dim) + 0.5
    x, positions = torch.randn(len(lengths), count, dim), [7 * length for length in lengths]
    keys, values = caches(num_heads, width, lengths, count)
    others = copied(keys), copied(values)
    given = x.clone()
    packed = pack(blocks, norm, frequencies(width))
    made = decode_steps(x, packed, positions, keys, values, lengths)
    assert torch.equal(x, given) and made.isfinite().all()
    for index, length in enumerate(lengths):
        pasts = others[0][index], others[1][index]
        wanted = by_reference(x[index], blocks, norm, positions[index], *pasts, length)
        # A key or value halfway between two bfloat16 may be rounded to either.
        torch.testing.assert_close(made[index], wanted, atol=5e-3, rtol=1e-3)
        for mine, reference in zip(keys[index] + values[index], pasts[0] + pasts[1], strict=True):
            torch.testing.assert_close(mine, reference, atol=1e-3, rtol=1 / 64, equal_nan=True)


@pytest.mark.parametrize(("num_heads", "width", "inner"), SIZES)
@pytest.mark.parametrize("lengths", [[3, 0], [7, 7, 7, 7], [1, 40, 2, 0, 9], list(range(9))])
def test_positions_are_bit_by_bit_what_they_are_alone(
    num_heads: int, width: int, inner: int, lengths: list[int]
) -> None:
    torch.manual_seed(2)
    dim, count = num_heads * width, 8
    blocks = [random_block(dim, inner) for _ in range(DEPTH)]
    packed = pack(blocks, torch.ones(dim), frequencies(width))
    x = torch.randn(len(lengths), count, dim)
    keys, values = caches(num_heads, width, lengths, count)
    others = copied(keys), copied(values)
    together = decode_steps(x, packed, lengths, keys, values, lengths)
    for index, length in enumerate(lengths):
        one, done = slice(index, index + 1), 0
        for size in (1, 5, 2):
            now = slice(done, done + size)
            place, pasts = [length + done], (others[0][one], others[1][one])
            alone = decode_steps(x[one, now], packed, place, *pasts, place)
            assert torch.equal(alone, together[one, now])
            done += size
        for mine, other in zip(keys[index] + values[index], pasts[0][0] + pasts[1][0], strict=True):
            assert torch.equal(mine.nan_to_num(), other.nan_to_num())


@pytest.mark.parametrize("poisoned", ["input", "keys", "values"])
def test_what_is_not_a_number_does_not_vanish(poisoned: str) -> None:
    torch.manual_seed(3)
    x = torch.randn(1, 1, 16)
    keys, values = caches(2, 8, [5], 1)
    {"input": x[0], "keys": keys[0][1][1], "values": values[0][1][1]}[poisoned][0, 2] = torch.nan
    packed = pack([random_block(16, 8)] * DEPTH, torch.ones(16), frequencies(8))
    assert decode_steps(x, packed, [5], keys, values, [5]).isnan().any()


def test_one_full_cache_among_many_is_refused_before_anything_is_written() -> None:
    keys, values = caches(2, 8, [1, 4, 2], 1)
    before = copied(keys)
    packed = pack([random_block(16, 8)] * DEPTH, torch.ones(16), frequencies(8))
    with pytest.raises(ValueError, match="full with 6"):
        decode_steps(torch.zeros(3, 1, 16), packed, [0] * 3, keys, values, [1, 6, 2])
    for several, others in zip(keys, before, strict=True):
        for mine, was in zip(several, others, strict=True):
            assert torch.equal(mine.nan_to_num(), was.nan_to_num())


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
