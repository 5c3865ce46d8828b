"""One decoding step of a transformer block with a KV cache and int8 weights, on a CPU."""

from kernels.decode_step.batch import decode_steps
from kernels.decode_step.cpu import decode_step
from kernels.decode_step.reference import BlockWeights, decode_step_reference

__all__ = ["BlockWeights", "decode_step", "decode_step_reference", "decode_steps"]
