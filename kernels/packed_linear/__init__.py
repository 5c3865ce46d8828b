"""float32 layers that only infer, on a CPU: weights laid out once, as oneDNN reads them."""

from kernels.packed_linear.layers import PackedConv1d, PackedLinear, with_packed_layers

__all__ = ["PackedConv1d", "PackedLinear", "with_packed_layers"]
