"""A depthwise convolution over time followed by an adaptive layer norm over channels."""

from kernels.depthwise_norm.cpu import depthwise_norm
from kernels.depthwise_norm.reference import depthwise_norm_reference

__all__ = ["depthwise_norm", "depthwise_norm_reference"]
