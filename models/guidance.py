"""Classifier-free guidance by the text (arXiv 2207.12598, section 3.2).

Training drops the text of some rows. At inference, conditional and unconditional predictions are
combined: `unconditional + guidance * (conditional - unconditional)`.
"""

from torch import Tensor

TEXT_DROPOUT = 0.1  # share of training rows without text


def num_branches(guidance: float) -> int:
    """Rows per prediction: the conditional one, and the unconditional one unless guidance is 1."""
    return 1 if guidance == 1 else 2


def guided(rows: Tensor, guidance: float) -> Tensor:
    """Combines predictions `[num_branches * B, ...]`, conditional rows first, to `[B, ...]`."""
    branches = rows.chunk(num_branches(guidance))
    conditional, unconditional = branches[0], branches[-1]
    return unconditional + guidance * (conditional - unconditional)
