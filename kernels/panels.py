"""Products with matrices that are packed in panels of 16 columns, compiled for this CPU.

Rows `[M, K]` times a matrix `[N, K]`, transposed. The matrix is stored as `[N / 16, K, 16]`, so
that a tile of a few rows and 16 columns stays in registers for all of K (Goto and van de Geijn
2008, "Anatomy of High-Performance Matrix Multiplication", section 4). Weights keep the narrowest
type that loses nothing, and widen on the way into a register: a few rows take as long as reading
the weights does. K is summed in order, so a row's result does not depend on the other rows.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from kernels.compiled import compiled

LANES = 16
ROWS = 6  # of a tile: 12 of AVX2's 16 registers hold its sums
_TOGETHER = 48  # rows that pass through the whole matrix before others do; they stay in the cache
_SMALLEST_SCALE = 1e-7  # representable in float16


class Panels(NamedTuple):
    """A matrix `[N, K]` and a bias.

    Attributes:
        weights: `[ceil(N / 16), K, 16]` int8, float32, or float16 as int16, which NumPy lacks.
        scale: of each column, float32 `[ceil(N / 16), 16]`.
        bias: likewise.
    """

    weights: np.ndarray
    scale: np.ndarray
    bias: np.ndarray


def panels_of(weight: Tensor, bias: Tensor | None = None) -> Panels:
    """Packs matrices `[..., N, K]`, with a bias `[..., N]`, in the narrowest type that holds all of
    their weights exactly."""
    weight = weight.detach().float()
    scale = (weight.abs().amax(-1) / 127).clamp_min(_SMALLEST_SCALE).half().float()
    int8 = (weight / scale[..., None]).round().clamp(-127, 127)
    half = weight.half()
    if torch.equal(int8 * scale[..., None], weight):
        return int8_panels(int8.to(torch.int8), scale, bias)
    narrow = half.view(torch.int16) if torch.equal(half.float(), weight) else weight
    return int8_panels(narrow, torch.ones(weight.shape[:-1]), bias)


def int8_panels(weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> Panels:
    """Packs matrices `[..., N, K]` with a scale for each row `[..., N]`."""
    bias = torch.zeros_like(scale) if bias is None else bias.detach()
    packed = _padded(weight, -2).transpose(-1, -2).contiguous()
    return Panels(packed.numpy(), *(_padded(each.float(), -1).numpy() for each in (scale, bias)))


def _padded(values: Tensor, axis: int) -> Tensor:
    """Splits an axis into panels of 16, the last one filled with zeros."""
    count = -(-values.shape[axis] // LANES)
    fill = (0, count * LANES - values.shape[axis])
    filled = F.pad(values, fill if axis == -1 else (0, 0, *fill))
    return filled.unflatten(axis, (count, LANES))


_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_STORED = {types.int8: ir.IntType(8), types.int16: ir.IntType(16), types.float32: ir.FloatType()}


def _tile_of(rows: int, panels: int) -> Any:
    """A tile of `rows` rows and `panels` panels, as a function of rows `x`, `weights` `[.., K, 16]`
    and `out`, each from the tile's first element on, and K."""

    def tile(context: Any, x: Any, weights: Any, out: Any, depth: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            x_at, weights_at, out_at = (
                context.make_array(kind)(context, builder, value)
                for kind, value in zip(signature.args[:3], args[:3], strict=True)
            )
            stride = _stride(builder, x_at, 0, 4)
            starts = [_moved(builder, x_at.data, row, stride) for row in range(rows)]
            stride = builder.mul(args[3], ir.Constant(args[3].type, LANES))
            places = [_moved(builder, weights_at.data, panel, stride) for panel in range(panels)]
            sums = _sums(builder, starts, places, args[3], _STORED[weights.dtype])
            stride = _stride(builder, out_at, 0, 4)
            for row in range(rows):
                start = _moved(builder, out_at.data, row, stride)
                for panel in range(panels):
                    at = builder.gep(start, [ir.Constant(args[3].type, panel * LANES)])
                    builder.store(
                        sums[row * panels + panel],
                        builder.bitcast(at, _VECTOR.as_pointer()),
                        align=4,
                    )
            return context.get_dummy_value()

        return types.void(x, weights, out, depth), generate

    return intrinsic(tile)


def _stride(builder: Any, array: Any, axis: int, size: int) -> Any:
    """An array's stride in elements of `size` bytes."""
    stride = builder.extract_value(array.strides, axis)
    return builder.sdiv(stride, ir.Constant(stride.type, size))


def _moved(builder: Any, pointer: Any, count: int, stride: Any) -> Any:
    return builder.gep(pointer, [builder.mul(stride, ir.Constant(stride.type, count))])


def _sums(builder: Any, rows: list[Any], panels: list[Any], depth: Any, stored: Any) -> list[Any]:
    """The loop over K: a vector for each row and panel."""
    index, before = depth.type, builder.block
    body, after = (builder.append_basic_block(name) for name in ("tile", "tiled"))
    builder.branch(body)
    builder.position_at_end(body)
    step = builder.phi(index)
    sums = [builder.phi(_VECTOR) for _ in range(len(rows) * len(panels))]
    place = builder.mul(step, ir.Constant(index, LANES))
    wide = []
    for panel in panels:
        at = builder.gep(panel, [place])
        at = builder.bitcast(at, ir.VectorType(stored, LANES).as_pointer())
        wide.append(_widened(builder, builder.load(at, align=1)))
    new = []
    for row in rows:
        factor = _spread(builder, builder.load(builder.gep(row, [step])))
        for each in wide:
            product = builder.fmul(factor, each, flags=("contract",))
            new.append(builder.fadd(product, sums[len(new)], flags=("contract",)))
    following = builder.add(step, ir.Constant(index, 1))
    for phi, first, later in [
        (step, ir.Constant(index, 0), following),
        *((phi, ir.Constant(_VECTOR, None), each) for phi, each in zip(sums, new, strict=True)),
    ]:
        phi.add_incoming(first, before)
        phi.add_incoming(later, body)
    builder.cbranch(builder.icmp_signed("<", following, depth), body, after)
    builder.position_at_end(after)
    return new


def _widened(builder: Any, weights: Any) -> Any:
    """Converts 16 stored weights to float32."""
    if weights.type.element == ir.IntType(8):
        return builder.sitofp(weights, _VECTOR)
    if weights.type.element == ir.IntType(16):
        halves = builder.bitcast(weights, ir.VectorType(ir.HalfType(), LANES))
        return builder.fpext(halves, _VECTOR)
    return weights


def _spread(builder: Any, number: Any) -> Any:
    """A vector of 16 times the same number."""
    nothing, places = ir.Constant(_VECTOR, ir.Undefined), ir.VectorType(ir.IntType(32), LANES)
    one = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(places, None))


_tile1, _tile2, _tile3 = _tile_of(1, 1), _tile_of(2, 1), _tile_of(3, 1)
_tile4, _tile5, _tile6 = _tile_of(4, 1), _tile_of(5, 1), _tile_of(6, 1)
_tile1x4, _tile2x2 = _tile_of(1, 4), _tile_of(2, 2)  # few rows: more sums at once hide their delay


@compiled
def multiply(x, weights, scale, bias, out):
    """Rows `x` `[M, K]`, contiguous along K, times a matrix `[N, K]`: `out` `[M, N]`, likewise."""
    width = out.shape[1]
    whole = width // LANES
    last = np.empty((min(len(x), _TOGETHER), LANES), np.float32)  # a panel that N does not fill
    for first in range(0, len(x), _TOGETHER):
        rows, made = x[first : first + _TOGETHER], out[first : first + _TOGETHER]
        _products(rows, weights[:whole], made)
        if whole < len(weights):
            _products(rows, weights[whole:], last)
        for row in range(len(rows)):
            for panel in range(whole):
                for lane in range(LANES):
                    at = panel * LANES + lane
                    made[row, at] = made[row, at] * scale[panel, lane] + bias[panel, lane]
            for lane in range(width - whole * LANES):
                number = last[row, lane]
                made[row, whole * LANES + lane] = number * scale[whole, lane] + bias[whole, lane]


@compiled
def _products(x, weights, out):
    """The products without scale and bias, of whole panels."""
    count, depth = x.shape
    num_panels = len(weights)
    if count <= 2:
        step = 4 if count == 1 else 2
        for panel in range(0, num_panels, step):
            these, columns = weights[panel:], out[:, panel * LANES :]
            if len(these) < step:
                for place in range(len(these)):
                    _tile(x, these[place:], columns[:, place * LANES :], depth)
            elif count == 1:
                _tile1x4(x, these, columns, depth)
            else:
                _tile2x2(x, these, columns, depth)
        return
    for panel in range(num_panels):
        these, columns = weights[panel:], out[:, panel * LANES :]
        row = 0
        while row < count:
            left = count - row
            # The last rows as two tiles of nearly one size: a small one waits for its sums.
            size = (left + 1) // 2 if ROWS < left < 2 * ROWS else min(left, ROWS)
            _tile(x[row : row + size], these, columns[row:], depth)
            row += size


@compiled
def _tile(x, weights, out, depth):
    """One panel of 1 to 6 rows."""
    count = len(x)
    if count == 6:
        _tile6(x, weights, out, depth)
    elif count == 5:
        _tile5(x, weights, out, depth)
    elif count == 4:
        _tile4(x, weights, out, depth)
    elif count == 3:
        _tile3(x, weights, out, depth)
    elif count == 2:
        _tile2(x, weights, out, depth)
    else:
        _tile1(x, weights, out, depth)
