"""New positions through a transformer with a KV cache and int8 weights, on a CPU."""

from kernels.decode_step.cpu import PackedBlocks, decode_steps, pack
from kernels.decode_step.reference import BlockWeights, decode_step_reference

__all__ = ["BlockWeights", "PackedBlocks", "decode_step_reference", "decode_steps", "pack"]
