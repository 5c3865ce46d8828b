"""A batched decoding step: the weights are read once for all sequences.

Each sequence keeps its own cache of any length anywhere in memory, so sequences join and leave a
batch without copying.
"""

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from torch import Tensor

from kernels.compiled import compiled
from kernels.decode_step.cpu import (
    _attended,
    _half,
    _normalised,
    _product,
    _rotated,
)
from kernels.decode_step.reference import BlockWeights


def decode_steps(
    x: Tensor,
    weights: BlockWeights,
    turn: tuple[Tensor, Tensor],
    keys: Sequence[Tensor],
    values: Sequence[Tensor],
    lengths: Sequence[int],
) -> Tensor:
    """`decode_step` for B sequences: `[B, dim]` to `[B, dim]`.

    The summation order differs from the single-sequence kernel: results agree within a relative
    error of about 1e-6, or 1e-4 where that rounds a cache entry the other way, and depend on the
    other sequences only within that.

    Args:
        x: the inputs `[B, dim]`.
        weights: the block's weights.
        turn: rotary cosines and sines of the positions, each `[B, D / 2]`.
        keys: one cache per sequence, contiguous, bfloat16 `[H, D, capacity]`.
        values: likewise, `[H, capacity, D]`.
        lengths: the number of positions in each cache.

    Raises:
        ValueError: a cache has no room for another position.
    """
    capacities = [each.shape[1] for each in values]
    for length, capacity in zip(lengths, capacities, strict=True):
        if length >= capacity:
            raise ValueError(f"the cache is full with {length} positions; make it larger")
    assert all(each.is_contiguous() for each in (*keys, *values))
    made = x.clone()
    num_heads, _, width = values[0].shape
    places = np.array(
        [
            [each.data_ptr() for each in keys],
            [each.data_ptr() for each in values],
            capacities,
            lengths,
        ],
        np.int64,
    )
    arrays = tuple(tensor.numpy() for tensor in weights)
    cos, sin = turn[0].numpy(), turn[1].numpy()
    _blocks(made.numpy(), arrays, cos, sin, places, num_heads, width)
    return made


def _to_pointer(context: Any, address: Any) -> Any:
    """Converts an address to a pointer for `numba.carray`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return numba.types.voidptr(numba.types.int64), generate


_pointer: Any = intrinsic(_to_pointer)  # callers omit the typing context


@compiled
def _products(weight_int8, scale, x, out):
    """Rows `x` `[B, K]` times `weight_int8` `[N, K]`; four rows share each load."""
    count = len(x)
    fours = count - count % 4
    for first in range(0, fours, 4):
        one, two, three, four = x[first], x[first + 1], x[first + 2], x[first + 3]
        for row in range(weight_int8.shape[0]):
            a = b = c = d = np.float32(0.0)
            for column in range(weight_int8.shape[1]):
                w = np.float32(weight_int8[row, column])
                a += w * one[column]
                b += w * two[column]
                c += w * three[column]
                d += w * four[column]
            by = scale[row]
            out[first, row], out[first + 1, row] = a * by, b * by
            out[first + 2, row], out[first + 3, row] = c * by, d * by
    for index in range(fours, count):
        _product(weight_int8, scale, x[index], out[index])


@compiled
def _blocks(x, weights, cos, sin, places, num_heads, width):
    """Runs the block in place on `x` `[B, dim]`."""
    attention_norm, qkv, qkv_scale, out, out_scale = weights[:5]
    ffn_norm, gate_up, gate_up_scale, down, down_scale = weights[5:]
    count, dim = x.shape
    normed = np.empty((count, dim), np.float32)
    heads = np.empty((count, 3 * dim), np.float32)
    heard = np.empty((count, dim), np.float32)
    query, key = np.empty(width, np.float32), np.empty(width, np.float32)
    for index in range(count):
        _normalised(x[index], attention_norm, normed[index])
    _products(qkv, qkv_scale, normed, heads)
    for index in range(count):
        capacity, length = places[2, index], places[3, index]
        keys = numba.carray(_pointer(places[0, index]), (num_heads, width, capacity), np.int16)
        values = numba.carray(_pointer(places[1, index]), (num_heads, capacity, width), np.int16)
        scores = np.empty(length + 1, np.float32)
        mine = heads[index]
        for head in range(num_heads):
            at = head * width
            _rotated(mine[at : at + width], cos[index], sin[index], query)
            _rotated(mine[dim + at : dim + at + width], cos[index], sin[index], key)
            for i in range(width):
                keys[head, i, length] = _half(key[i])
                values[head, length, i] = _half(mine[2 * dim + at + i])
            seen = heard[index, at : at + width]
            _attended(query, keys[head], values[head], length + 1, scores, seen)
    _products(out, out_scale, heard, normed)
    x += normed
    inner = len(gate_up) // 2
    both = np.empty((count, 2 * inner), np.float32)
    for index in range(count):
        _normalised(x[index], ffn_norm, normed[index])
    _products(gate_up, gate_up_scale, normed, both)
    passed = np.empty((count, inner), np.float32)
    for index in range(count):
        for i in range(inner):
            gate = both[index, i]
            passed[index, i] = gate * both[index, inner + i] / (np.float32(1.0) + np.exp(-gate))
    _products(down, down_scale, passed, normed)
    x += normed
