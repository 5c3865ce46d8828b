"""A linear layer with int8 weights for inference on a CPU."""

from kernels.int8_linear.linear import (
    FEW_ROWS,
    Int8Linear,
    num_parameters,
    with_int8_linears,
    with_linears,
)

__all__ = ["FEW_ROWS", "Int8Linear", "num_parameters", "with_int8_linears", "with_linears"]
