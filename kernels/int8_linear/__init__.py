"""An int8-weight linear layer for the few rows of autoregressive decoding on a CPU."""

from kernels.int8_linear.linear import Int8Linear, num_parameters, quantise, with_int8_linears

__all__ = ["Int8Linear", "num_parameters", "quantise", "with_int8_linears"]
