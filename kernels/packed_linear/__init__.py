"""float32 layers for CPU inference, with weights packed in panels."""

from kernels.packed_linear.layers import PackedConv1d, PackedLinear, with_packed_layers

__all__ = ["PackedConv1d", "PackedLinear", "with_packed_layers"]
