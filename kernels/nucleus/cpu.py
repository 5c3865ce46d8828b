"""The fused operation, compiled for this CPU: a step samples one code per sequence, each a dozen
calls as separate operations."""

import numpy as np
import torch
from torch import Tensor

from kernels.compiled import compiled, exponential
from kernels.nucleus.reference import nucleus_reference


def nucleus(logits: Tensor, temperature: float, mass: float) -> Tensor:
    """`nucleus_reference`, compiled for float32 on a CPU."""
    if not logits.is_cpu or logits.dtype != torch.float32:
        return nucleus_reference(logits, temperature, mass)
    made = torch.empty(len(logits))
    _nucleus(logits.detach().contiguous().numpy(), 1 / temperature, mass, made.numpy())
    return made


@compiled
def _nucleus(logits, factor, mass, out):
    count = len(logits)
    by, highest = np.float32(factor), logits[0]
    for i in range(count):
        highest = max(highest, logits[i])
    total = np.float32(0.0)
    for i in range(count):
        out[i] = exponential((logits[i] - highest) * by)
        total += out[i]
    kept = total
    if mass < 1.0:
        # Codes below this threshold sum to less than the truncated mass and need no sorting.
        least = np.float32((1.0 - mass) / count) * total
        common = np.empty(count, np.int64)
        num_common = 0
        for i in range(count):
            if out[i] > least:
                common[num_common] = i
                num_common += 1
        shares = np.empty(num_common, np.float32)
        for i in range(num_common):
            shares[i] = -out[common[i]]
        out[:] = np.float32(0.0)
        kept = np.float32(0.0)
        for place in np.argsort(shares, kind="mergesort"):
            if kept < np.float32(mass) * total:
                out[common[place]] = -shares[place]
                kept -= shares[place]
    for i in range(count):
        out[i] /= kept
