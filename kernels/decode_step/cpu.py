"""The operation compiled for the processor at hand: no Python and no allocation between products.

As single operations a block takes a dozen calls for work of a few microseconds each, so that most
of a step is calling. All sums are float32; they are added in another order than the reference's.
"""

import numba
import numpy as np
from torch import Tensor

from kernels.decode_step.reference import BlockWeights

# Sums may be added in any order; what is not a number stays so.
_LOOSE = {"reassoc", "contract", "arcp", "nsz"}
_compiled = numba.njit(cache=True, fastmath=_LOOSE, nogil=True, error_model="numpy")
_EPSILON = np.float32(1e-5)  # of PyTorch's layer norm


def decode_step(
    x: Tensor,
    weights: BlockWeights,
    turn: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    length: int,
) -> Tensor:
    """See `decode_step_reference`. All tensors are contiguous float32 and int8 ones of a CPU.

    Raises:
        ValueError: the cache has no room for another position.
    """
    if length >= keys.shape[1]:
        raise ValueError(f"the cache holds {keys.shape[1]} positions: there is no room for another")
    made = x.clone()
    arrays = tuple(tensor.numpy() for tensor in weights)
    cos, sin = turn[0].numpy(), turn[1].numpy()
    _block(made.numpy(), arrays, cos, sin, keys.numpy(), values.numpy(), length)
    return made


@_compiled
def _product(whole, scale, x, out):
    for row in range(whole.shape[0]):
        total = np.float32(0.0)
        for column in range(whole.shape[1]):
            total += np.float32(whole[row, column]) * x[column]
        out[row] = total * scale[row]


@_compiled
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


@_compiled
def _rotated(head, cos, sin, out):
    half = len(cos)
    for i in range(half):
        first, second = head[i], head[half + i]
        out[i] = first * cos[i] - second * sin[i]
        out[half + i] = first * sin[i] + second * cos[i]


@_compiled
def _attended(query, keys, values, count, scores, out):
    """What one head hears `[D]` of the first `count` positions."""
    width = len(query)
    scale = np.float32(1.0) / np.sqrt(np.float32(width))
    highest = np.float32(-np.inf)
    for place in range(count):
        score = np.float32(0.0)
        for i in range(width):
            score += query[i] * keys[place, i]
        score *= scale
        scores[place] = score
        highest = max(highest, score)
    total = np.float32(0.0)
    for place in range(count):
        scores[place] = np.exp(scores[place] - highest)
        total += scores[place]
    out[:] = np.float32(0.0)
    for place in range(count):
        share = scores[place] / total
        for i in range(width):
            out[i] += share * values[place, i]


@_compiled
def _block(x, weights, cos, sin, keys, values, length):
    """The block, in place of `x`."""
    attention_norm, qkv, qkv_scale, out, out_scale = weights[:5]
    ffn_norm, gate_up, gate_up_scale, down, down_scale = weights[5:]
    dim = len(x)
    num_heads, _, width = keys.shape
    normed = np.empty(dim, np.float32)
    heads = np.empty(3 * dim, np.float32)
    heard = np.empty(dim, np.float32)
    query = np.empty(width, np.float32)
    scores = np.empty(length + 1, np.float32)
    _normalised(x, attention_norm, normed)
    _product(qkv, qkv_scale, normed, heads)
    for head in range(num_heads):
        at = head * width
        _rotated(heads[at : at + width], cos, sin, query)
        _rotated(heads[dim + at : dim + at + width], cos, sin, keys[head, length])
        values[head, length] = heads[2 * dim + at : 2 * dim + at + width]
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
