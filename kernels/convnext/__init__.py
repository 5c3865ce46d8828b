"""A stack of streaming ConvNeXt blocks, on a CPU."""

from kernels.convnext.cpu import convnext_stack
from kernels.convnext.reference import StackWeights, convnext_stack_reference

__all__ = ["StackWeights", "convnext_stack", "convnext_stack_reference"]
