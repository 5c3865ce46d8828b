"""The fused step, compiled for this CPU: no Python and no allocation between matrix products.

As separate operations a block takes a dozen calls of a few microseconds of work each, so call
overhead dominates. Accumulation is in float32, in a different order than the reference's.
"""

import numpy as np
import torch
from torch import Tensor

from kernels.compiled import as_bits, as_float, compiled, exponential
from kernels.decode_step.reference import BlockWeights

_EPSILON = np.float32(1e-5)  # of PyTorch's layer norm


def decode_step(
    x: Tensor,
    weights: BlockWeights,
    turn: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    length: int,
) -> Tensor:
    """See `decode_step_reference`. All tensors are contiguous CPU tensors, float32 unless stated
    otherwise.

    Raises:
        ValueError: the cache is full.
    """
    if length >= values.shape[1]:
        raise ValueError(f"the cache is full with {length} positions; make it larger")
    made = x.clone()
    arrays = tuple(tensor.numpy() for tensor in weights)
    cos, sin = turn[0].numpy(), turn[1].numpy()
    # NumPy has no bfloat16: view it as int16, the upper half of a float32.
    halves = [each.view(torch.int16).numpy() for each in (keys, values)]
    _block(made.numpy(), arrays, cos, sin, halves[0], halves[1], length)
    return made


@compiled
def _wide(half):
    """Converts bfloat16 to float32."""
    return as_float(np.int32(half) << np.int32(16))  # pyright: ignore[reportCallIssue]


@compiled
def _half(number):
    """Converts float32 to bfloat16, rounding half to even; NaN is preserved."""
    bits = as_bits(number)  # pyright: ignore[reportCallIssue]
    if number != number:
        return np.int16((bits >> np.int32(16)) | np.int32(0x40))
    odd = (bits >> np.int32(16)) & np.int32(1)
    return np.int16((bits + np.int32(0x7FFF) + odd) >> np.int32(16))


@compiled
def _product(weight_int8, scale, x, out):
    for row in range(weight_int8.shape[0]):
        total = np.float32(0.0)
        for column in range(weight_int8.shape[1]):
            total += np.float32(weight_int8[row, column]) * x[column]
        out[row] = total * scale[row]


@compiled
def _normalised(x, weight, out):
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
def _rotated(head, cos, sin, out):
    half = len(cos)
    for i in range(half):
        first, second = head[i], head[half + i]
        out[i] = first * cos[i] - second * sin[i]
        out[half + i] = first * sin[i] + second * cos[i]


@compiled
def _summed(shares, rows, count, width, out):
    """The weighted sum of the first `count` of `rows`, over the first `width` columns."""
    out[:width] = np.float32(0.0)
    fours = count - count % 4
    # Four rows per pass: loading and storing the sum costs more than the additions.
    for row in range(0, fours, 4):
        a, b, c, d = shares[row], shares[row + 1], shares[row + 2], shares[row + 3]
        for i in range(width):
            first = a * _wide(rows[row, i]) + b * _wide(rows[row + 1, i])
            out[i] += first + (c * _wide(rows[row + 2, i]) + d * _wide(rows[row + 3, i]))
    for row in range(fours, count):
        for i in range(width):
            out[i] += shares[row] * _wide(rows[row, i])


@compiled
def _attended(query, keys, values, count, scores, out):
    """One head's attention output `[D]` over `count` positions; scales `query` in place."""
    width = len(query)
    scale = np.float32(1.0) / np.sqrt(np.float32(width))
    for i in range(width):
        query[i] *= scale
    _summed(query, keys, width, count, scores)
    highest = scores[0]
    for place in range(count):
        highest = max(highest, scores[place])
    total = np.float32(0.0)
    for place in range(count):
        scores[place] = exponential(scores[place] - highest)
        total += scores[place]
    _summed(scores, values, count, width, out)
    for i in range(width):
        out[i] /= total


@compiled
def _block(x, weights, cos, sin, keys, values, length):
    """Runs the block in place on `x`."""
    attention_norm, qkv, qkv_scale, out, out_scale = weights[:5]
    ffn_norm, gate_up, gate_up_scale, down, down_scale = weights[5:]
    dim = len(x)
    num_heads, width, _ = keys.shape
    normed = np.empty(dim, np.float32)
    heads = np.empty(3 * dim, np.float32)
    heard = np.empty(dim, np.float32)
    query, key = np.empty(width, np.float32), np.empty(width, np.float32)
    scores = np.empty(length + 1, np.float32)
    _normalised(x, attention_norm, normed)
    _product(qkv, qkv_scale, normed, heads)
    for head in range(num_heads):
        at = head * width
        _rotated(heads[at : at + width], cos, sin, query)
        _rotated(heads[dim + at : dim + at + width], cos, sin, key)
        for i in range(width):
            keys[head, i, length] = _half(key[i])
            values[head, length, i] = _half(heads[2 * dim + at + i])
        _attended(query, keys[head], values[head], length + 1, scores, heard[at : at + width])
    _product(out, out_scale, heard, normed)
    for i in range(dim):
        x[i] += normed[i]
    inner = len(gate_up) // 2
    both = np.empty(2 * inner, np.float32)
    _normalised(x, ffn_norm, normed)
    _product(gate_up, gate_up_scale, normed, both)
    for i in range(inner):
        both[i] *= both[inner + i] / (np.float32(1.0) + np.exp(-both[i]))
    _product(down, down_scale, both[:inner], normed)
    for i in range(dim):
        x[i] += normed[i]
