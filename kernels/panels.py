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

from kernels.compiled import as_float, compiled
from kernels.processor import compiles_for_avx512
from kernels.quantising import quantise

LANES = 16
# Of a tile: the sums of 8 keep both multipliers of AVX-512 busy; those of 6 fill 12 of AVX2's 16
# registers.
ROWS = 8 if compiles_for_avx512() else 6
_TOGETHER = 48  # rows that pass through the whole matrix before others do; they stay in the cache


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
    rows, scale = quantise(weight.flatten(0, -2), torch.float16)
    int8, scale = rows.view(weight.shape), scale.float().view(weight.shape[:-1])
    half = weight.half()
    if torch.equal(int8 * scale[..., None], weight):
        return scaled_panels(int8, scale, bias)
    narrow = half.view(torch.int16) if torch.equal(half.float(), weight) else weight
    return scaled_panels(narrow, torch.ones(weight.shape[:-1]), bias)


def scaled_panels(weight: Tensor, scale: Tensor, bias: Tensor | None = None) -> Panels:
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
_BITS = {types.int8: 8, types.int16: 16, types.uint16: 16, types.float32: 32}


def _tile_of(rows: int, panels: int) -> Any:
    """A tile of `rows` rows and `panels` panels, as a function of rows `x`, weights and `out`, each
    from the tile's first element on, and K. The weights are panels `[.., K, 16]` or a plain matrix
    `[K, ..]`."""

    def tile(context: Any, x: Any, weights: Any, out: Any, depth: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _write_tile(builder, _Tile(context, builder, signature, args), rows, panels)
            return context.get_dummy_value()

        return types.void(x, weights, out, depth), generate

    return intrinsic(tile)


def _any_tile(context: Any, x: Any, weights: Any, out: Any, depth: Any) -> Any:
    """One panel of 1 to `ROWS` rows: a tile of its own for each number of them."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        tile = _Tile(context, builder, signature, args)
        count = builder.extract_value(tile.x.shape, 0)
        after = builder.append_basic_block("tiles")
        choice = builder.switch(count, after)
        for rows in range(1, ROWS + 1):
            block = builder.append_basic_block(f"rows{rows}")
            choice.add_case(ir.Constant(count.type, rows), block)
            builder.position_at_end(block)
            _write_tile(builder, tile, rows, 1)
            builder.branch(after)
        builder.position_at_end(after)
        return context.get_dummy_value()

    return types.void(x, weights, out, depth), generate


class _Tile:
    """The arguments of a tile's function, as arrays in LLVM."""

    def __init__(self, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.x, self.weights, self.out = (
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(signature.args[:3], args[:3], strict=True)
        )
        self.depth, self.stored = args[3], signature.args[1].dtype
        self.packed = signature.args[1].ndim == 3


def _write_tile(builder: Any, tile: _Tile, rows: int, panels: int) -> None:
    """Generates the products of `rows` rows with `panels` panels."""
    starts = _places(builder, tile.x.data, rows, _stride(builder, tile.x, 4))
    stride = _stride(builder, tile.weights, _BITS[tile.stored] // 8)
    lanes = ir.Constant(tile.depth.type, LANES)
    step, apart = (lanes, stride) if tile.packed else (stride, lanes)
    wide = _places(builder, tile.weights.data, panels, apart)
    sums = _sums(builder, starts, wide, step, tile.depth, tile.stored)
    ends = _places(builder, tile.out.data, rows, _stride(builder, tile.out, 4))
    for row, end in enumerate(ends):
        for panel, at in enumerate(_places(builder, end, panels, lanes)):
            at = builder.bitcast(at, _VECTOR.as_pointer())
            builder.store(sums[row * panels + panel], at, align=4)


def _stride(builder: Any, array: Any, size: int) -> Any:
    """The first axis' stride in elements of `size` bytes."""
    stride = builder.extract_value(array.strides, 0)
    return builder.sdiv(stride, ir.Constant(stride.type, size))


def _places(builder: Any, pointer: Any, count: int, stride: Any) -> list[Any]:
    """`count` pointers, `stride` elements apart."""
    moves = [builder.mul(stride, ir.Constant(stride.type, index)) for index in range(count)]
    return [builder.gep(pointer, [move]) for move in moves]


def _sums(
    builder: Any, rows: list[Any], panels: list[Any], stride: Any, depth: Any, stored: Any
) -> list[Any]:
    """The loop over K: a vector for each row and panel."""
    index, before = depth.type, builder.block
    body, after = (builder.append_basic_block(name) for name in ("tile", "tiled"))
    builder.branch(body)
    builder.position_at_end(body)
    step = builder.phi(index)
    sums = [builder.phi(_VECTOR) for _ in range(len(rows) * len(panels))]
    place = builder.mul(step, stride)
    narrow = ir.VectorType(ir.IntType(_BITS[stored]), LANES)
    wide = []
    for panel in panels:
        at = builder.bitcast(builder.gep(panel, [place]), narrow.as_pointer())
        wide.append(_widened(builder, builder.load(at, align=1), stored))
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


def _widened(builder: Any, bits: Any, stored: Any) -> Any:
    """Converts 16 stored weights to float32."""
    if stored == types.int8:
        return builder.sitofp(bits, _VECTOR)
    if stored == types.int16:
        return builder.fpext(builder.bitcast(bits, ir.VectorType(ir.HalfType(), LANES)), _VECTOR)
    if stored == types.uint16:  # the upper half of a float32
        whole = ir.VectorType(ir.IntType(32), LANES)
        bits = builder.shl(builder.zext(bits, whole), ir.Constant(whole, [16] * LANES))
    return builder.bitcast(bits, _VECTOR)


def _spread(builder: Any, number: Any) -> Any:
    """A vector of 16 times the same number."""
    nothing, places = ir.Constant(_VECTOR, ir.Undefined), ir.VectorType(ir.IntType(32), LANES)
    one = builder.insert_element(nothing, number, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, nothing, ir.Constant(places, None))


_tile: Any = intrinsic(_any_tile)  # callers omit the typing context
# Few rows: more sums at once hide their delay.
_tile1x4, _tile2x2 = _tile_of(1, 4), _tile_of(2, 2)


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
def multiply_plain(x, matrix, out):
    """Up to `ROWS` rows `x` `[M, K]` times a bfloat16 matrix `[K, N]` in plain layout, viewed as
    uint16: `out` `[M, N]`. All are contiguous along their rows."""
    count, depth = x.shape
    whole = out.shape[1] // LANES
    step = 4 if count == 1 else 2 if count == 2 else 1
    panel = 0
    while panel < whole:
        these, columns = matrix[:, panel * LANES :], out[:, panel * LANES :]
        if step == 1 or panel + step > whole:
            _tile(x, these, columns, depth)
            panel += 1
        elif step == 2:
            _tile2x2(x, these, columns, depth)
            panel += 2
        else:
            _tile1x4(x, these, columns, depth)
            panel += 4
    for row in range(count):
        for column in range(whole * LANES, out.shape[1]):
            total = np.float32(0.0)
            for place in range(depth):
                total += x[row, place] * wide(matrix[place, column])
            out[row, column] = total


@compiled
def wide(half):
    """Converts bfloat16 to float32."""
    return as_float(np.int32(np.uint32(half) << np.uint32(16)))  # pyright: ignore[reportCallIssue]
