"""New positions through all blocks as one compiled call, which releases the GIL.

As separate operations a block takes a dozen calls of a few microseconds of work each, so call
overhead dominates. Weights are read once for all positions. Each sequence keeps its own cache of
any length anywhere in memory, so sequences join and leave a batch without copying. Accumulation is
in float32, in a different order than the reference's.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numba
import numpy as np
import torch
from llvmlite import ir
from numba.extending import intrinsic
from torch import Tensor

from kernels.compiled import as_bits, compiled, exponential, sigmoid
from kernels.decode_step.reference import BlockWeights
from kernels.panels import LANES, ROWS, Panels, multiply, multiply_plain, scaled_panels

_EPSILON = np.float32(1e-5)  # of PyTorch's layer norm
_TOGETHER = 48  # rows between the products of the feed-forward network; they stay in the cache


class PackedBlocks(NamedTuple):
    """The weights of D blocks and a final norm for this CPU: norms `[D, dim]` and matrices."""

    attention_norm: np.ndarray
    qkv: Panels
    out: Panels
    ffn_norm: np.ndarray
    gate_up: Panels
    down: Panels
    norm: np.ndarray  # [dim]
    frequencies: np.ndarray  # [D / 2]


def pack(blocks: Sequence[BlockWeights], norm: Tensor, frequencies: Tensor) -> PackedBlocks:
    """Packs the weights of blocks of one size and of the norm after them; `frequencies` `[D / 2]`
    are those of the rotary embedding, in radians a position."""
    stacked = BlockWeights(*(torch.stack(each) for each in zip(*blocks, strict=True)))
    return PackedBlocks(
        stacked.attention_norm.float().numpy(),
        scaled_panels(stacked.qkv, stacked.qkv_scale),
        scaled_panels(stacked.out, stacked.out_scale),
        stacked.ffn_norm.float().numpy(),
        scaled_panels(stacked.gate_up, stacked.gate_up_scale),
        scaled_panels(stacked.down, stacked.down_scale),
        norm.detach().float().contiguous().numpy(),
        frequencies.detach().float().contiguous().numpy(),
    )


def decode_steps(
    x: Tensor,
    weights: PackedBlocks,
    positions: Sequence[int],
    keys: Sequence[Sequence[Tensor]],
    values: Sequence[Sequence[Tensor]],
    lengths: Sequence[int],
) -> Tensor:
    """`decode_step_reference` of T new positions of each of B sequences through all blocks, and a
    layer norm: `[B, T, dim]` to `[B, T, dim]`.

    A position's result depends on its own sequence alone, bit by bit, and not on T.

    Args:
        x: the inputs `[B, T, dim]`, float32.
        weights: of the blocks.
        positions: rotary position of the first new position of each sequence.
        keys: caches by sequence and block, contiguous, bfloat16 `[H, D, capacity]`.
        values: likewise, `[H, capacity, D]`.
        lengths: the number of positions in each sequence's caches.

    Raises:
        ValueError: a cache has no room for the positions.
    """
    count = x.shape[1]
    capacities = [each[0].shape[1] for each in values]
    for length, capacity in zip(lengths, capacities, strict=True):
        if length + count > capacity:
            raise ValueError(
                f"the cache of {capacity} positions is full with {length}; {count} more do not fit"
            )
    assert all(one.is_contiguous() for caches in (*keys, *values) for one in caches)
    made = x.detach().clone(memory_format=torch.contiguous_format)
    places = [[[one.data_ptr() for one in each] for each in caches] for caches in (keys, values)]
    num_heads, _, width = values[0][0].shape
    sizes = np.array([capacities, lengths, positions], np.int64)
    shape = num_heads, width
    _advance(made.flatten(0, 1).numpy(), weights, np.array(places), sizes, shape)
    return made


def _to_pointer(context: Any, address: Any) -> Any:
    """Converts an address to a pointer for `numba.carray`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return numba.types.voidptr(numba.types.int64), generate


_pointer: Any = intrinsic(_to_pointer)  # callers omit the typing context


@compiled
def _advance(x, weights, places, sizes, shape):
    """Runs the blocks and the norm in place on `x` `[B * T, dim]`."""
    attention_norm, qkv, out, ffn_norm, gate_up, down, norm, frequencies = weights
    num_heads, width = shape
    count, dim = x.shape
    length = count // sizes.shape[1]
    cos, sin = np.empty((count, width // 2), np.float32), np.empty((count, width // 2), np.float32)
    for row in range(count):
        place = np.float32(sizes[2, row // length] + row % length)
        for i in range(width // 2):
            cos[row, i], sin[row, i] = (
                np.cos(place * frequencies[i]),
                np.sin(place * frequencies[i]),
            )
    normed, attended = np.empty((count, dim), np.float32), np.empty((count, dim), np.float32)
    heads = np.empty((count, 3 * dim), np.float32)
    inner = down.weights.shape[2]
    both = np.empty((min(count, _TOGETHER), 2 * inner), np.float32)
    scores = np.empty((ROWS, sizes[1].max() + length + LANES), np.float32)
    for layer in range(len(attention_norm)):
        for row in range(count):
            _normalise(x[row], attention_norm[layer], normed[row])
        multiply(normed, qkv.weights[layer], qkv.scale[layer], qkv.bias[layer], heads)
        for index in range(sizes.shape[1]):
            capacity, before = sizes[0, index], sizes[1, index]
            where = (num_heads, width, capacity)
            keys = numba.carray(_pointer(places[0, index, layer]), where, np.uint16)
            where = (num_heads, capacity, width)
            values = numba.carray(_pointer(places[1, index, layer]), where, np.uint16)
            mine = slice(index * length, (index + 1) * length)
            _attend(heads[mine], cos[mine], sin[mine], keys, values, before, scores, attended[mine])
        multiply(attended, out.weights[layer], out.scale[layer], out.bias[layer], normed)
        x += normed
        for row in range(count):
            _normalise(x[row], ffn_norm[layer], normed[row])
        for first in range(0, count, _TOGETHER):
            some = normed[first : first + _TOGETHER]
            wide = both[: len(some)]
            multiply(some, gate_up.weights[layer], gate_up.scale[layer], gate_up.bias[layer], wide)
            for row in range(len(some)):
                for i in range(inner):
                    wide[row, i] *= sigmoid(wide[row, i]) * wide[row, inner + i]
            passed = wide[:, :inner]
            multiply(passed, down.weights[layer], down.scale[layer], down.bias[layer], some)
        x += normed
    for row in range(count):
        _normalise(x[row], norm, normed[row])
    x[:] = normed


@compiled
def _attend(heads, cos, sin, keys, values, before, scores, attended):
    """Attention of one sequence's new positions `[T, 3 * dim]` after `before` others."""
    num_heads, width, capacity = keys.shape
    length, dim = attended.shape
    scale = np.float32(1.0) / np.sqrt(np.float32(width))
    for head in range(num_heads):
        at = head * width
        for row in range(length):
            query, key = heads[row, at : at + width], heads[row, dim + at : dim + at + width]
            _rotate(query, cos[row], sin[row])
            _rotate(key, cos[row], sin[row])
            for i in range(width):
                query[i] *= scale
                keys[head, i, before + row] = _half(key[i])
                values[head, before + row, i] = _half(heads[row, 2 * dim + at + i])
        for first in range(0, length, ROWS):
            last = min(length, first + ROWS)
            seen = before + last
            # Whole panels; what follows the last position is ignored.
            columns = min(capacity, (seen + LANES - 1) // LANES * LANES)
            some = scores[: last - first]
            multiply_plain(heads[first:last, at : at + width], keys[head], some[:, :columns])
            for row in range(last - first):
                _softmax(some[row], before + first + row + 1, seen)
            multiply_plain(some[:, :seen], values[head], attended[first:last, at : at + width])


@compiled
def _softmax(scores, count, seen):
    """Of the first `count`; the others up to `seen` become 0."""
    highest = scores[0]
    for place in range(count):
        highest = max(highest, scores[place])
    total = np.float32(0.0)
    for place in range(count):
        scores[place] = exponential(scores[place] - highest)
        total += scores[place]
    factor = np.float32(1.0) / total
    for place in range(count):
        scores[place] *= factor
    for place in range(count, seen):
        scores[place] = np.float32(0.0)


@compiled
def _half(number):
    """Converts float32 to bfloat16, rounding half to even; NaN is preserved."""
    bits = as_bits(number)  # pyright: ignore[reportCallIssue]
    if number != number:
        return np.uint16((bits >> np.int32(16)) | np.int32(0x40))
    odd = (bits >> np.int32(16)) & np.int32(1)
    return np.uint16((bits + np.int32(0x7FFF) + odd) >> np.int32(16))


@compiled
def _normalise(x, weight, out):
    count = np.float32(len(x))
    mean = np.float32(0.0)
    for i in range(len(x)):
        mean += x[i]
    mean /= count
    variance = np.float32(0.0)
    for i in range(len(x)):
        variance += (x[i] - mean) * (x[i] - mean)
    factor = np.float32(1.0) / np.sqrt(variance / count + _EPSILON)
    for i in range(len(x)):
        out[i] = (x[i] - mean) * factor * weight[i]


@compiled
def _rotate(head, cos, sin):
    half = len(cos)
    for i in range(half):
        first, second = head[i], head[half + i]
        head[i] = first * cos[i] - second * sin[i]
        head[half + i] = first * sin[i] + second * cos[i]
