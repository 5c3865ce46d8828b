"""float32 layers for CPU inference, with weights prepacked for oneDNN."""

from kernels.packed_linear.layers import PackedConv1d, PackedLinear, with_packed_layers

__all__ = ["PackedConv1d", "PackedLinear", "with_packed_layers"]
