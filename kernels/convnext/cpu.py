"""The whole stack as one compiled call, which releases the GIL.

As separate operations, a block of a few frames takes as long as its dozen calls do, and two threads
of small calls wait for each other's GIL between them.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kernels.compiled import compiled, sigmoid
from kernels.convnext.reference import StackWeights
from kernels.depthwise_norm.cpu import normalise
from kernels.panels import Panels, multiply, panels_of

_TOGETHER = 48  # rows between the two products; they stay in the cache


class PackedStack(NamedTuple):
    """`StackWeights` for this CPU.

    Attributes:
        taps: `[D, K, C]`.
        taps_bias: `[D, C]`.
        expand, reduce: matrices of all blocks.
    """

    taps: np.ndarray
    taps_bias: np.ndarray
    expand: Panels
    reduce: Panels


def pack(weights: StackWeights) -> PackedStack:
    """Packs the weights."""
    return PackedStack(
        weights.taps[:, :, 0].transpose(1, 2).contiguous().numpy(),
        weights.taps_bias.contiguous().numpy(),
        panels_of(weights.expand, weights.expand_bias),
        panels_of(weights.reduce, weights.reduce_bias),
    )


def convnext_stack(
    x: Tensor, past: Tensor, weights: PackedStack, scale: Tensor, shift: Tensor
) -> tuple[Tensor, Tensor]:
    """`convnext_stack_reference` of packed weights."""
    made, kept = (each.detach().clone(memory_format=torch.contiguous_format) for each in (x, past))
    given = (each.detach().contiguous().numpy() for each in (scale, shift))
    _stack(made.numpy(), kept.numpy(), weights, *given)
    return made, kept


@compiled
def _stack(x, past, weights, scale, shift):
    """Runs the blocks in place on `x` and `past`."""
    taps, taps_bias, expand, reduce = weights
    batch, length, dim = x.shape
    count, inner = batch * length, reduce.weights.shape[2]
    rows = x.reshape(count, dim)
    normed = np.empty((count, dim), np.float32)
    most = min(count, _TOGETHER)
    wide, made = np.empty((most, inner), np.float32), np.empty((most, dim), np.float32)
    for layer in range(len(taps)):
        for stream in range(batch):
            frames, before = x[stream], past[stream, layer]
            gain, offset = scale[stream % len(scale), layer], shift[stream % len(shift), layer]
            out = normed[stream * length : (stream + 1) * length]
            _convolve(frames, before, taps[layer], taps_bias[layer], out)
            for time in range(length):
                normalise(out[time], gain, offset)
            _keep(frames, before)
        for first in range(0, count, _TOGETHER):
            last = min(count, first + _TOGETHER)
            some, back = wide[: last - first], made[: last - first]
            multiply(
                normed[first:last],
                expand.weights[layer],
                expand.scale[layer],
                expand.bias[layer],
                some,
            )
            for row in range(last - first):
                gelu(some[row])
            multiply(
                some,
                reduce.weights[layer],
                reduce.scale[layer],
                reduce.bias[layer],
                back,
            )
            for row in range(first, last):
                for i in range(dim):
                    rows[row, i] += back[row - first, i]


@compiled
def _convolve(x, past, taps, bias, out):
    """The depthwise convolution of `[T, C]` after the past `[K - 1, C]`."""
    num_taps, dim = taps.shape
    for time in range(len(x)):
        h = out[time]
        for i in range(dim):
            h[i] = bias[i]
        for tap in range(num_taps):
            place = time + tap - len(past)
            frame = x[place] if place >= 0 else past[len(past) + place]
            for i in range(dim):
                h[i] += frame[i] * taps[tap, i]


@compiled
def _keep(x, past):
    """Moves the end of past and x into past."""
    moved = min(len(x), len(past))
    for place in range(len(past) - moved):
        past[place] = past[place + moved]
    for place in range(moved):
        past[len(past) - moved + place] = x[len(x) - moved + place]


@compiled
def gelu(x):
    """The tanh approximation of GELU, in place: x times the sigmoid of `bent`."""
    for i in range(len(x)):
        number = x[i]
        cubed = np.float32(0.044715) * number * number * number
        bent = np.float32(1.5957691216) * (number + cubed)
        x[i] = number * sigmoid(bent)
