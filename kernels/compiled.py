"""What the compiled CPU kernels share: how they are compiled, and small operations inside them."""

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

# Reassociation is allowed; NaN is preserved.
_LOOSE = {"reassoc", "contract", "arcp", "nsz"}
compiled: Any = numba.njit(cache=True, fastmath=_LOOSE, nogil=True, error_model="numpy")


@intrinsic
def as_float(context: Any, bits: Any) -> Any:
    """Reinterprets 32 bits as float32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return numba.types.float32(numba.types.int32), generate


@intrinsic
def as_bits(context: Any, number: Any) -> Any:
    """Reinterprets a float32 as 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return numba.types.int32(numba.types.float32), generate


@compiled
def exponential(x):
    """exp(x) for x <= 0: an integer power of two times a polynomial."""
    power = x * np.float32(1.44269504)
    if power < np.float32(-126.0):  # max() would swallow NaN
        power = np.float32(-126.0)
    whole = np.floor(power + np.float32(0.5))
    rest = (power - whole) * np.float32(0.69314718)
    made = np.float32(1.0 / 720.0)
    for divisor in (120.0, 24.0, 6.0, 2.0, 1.0, 1.0):
        made = made * rest + np.float32(1.0 / divisor)
    return made * as_float((np.int32(whole) + np.int32(127)) << np.int32(23))  # pyright: ignore[reportCallIssue]


@compiled
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    small = exponential(-abs(x))
    share = np.float32(1.0) if x >= np.float32(0.0) else small
    return share / (np.float32(1.0) + small)
