"""Classifier-free guidance by the text (arXiv 2207.12598, section 3.2).

A model that is sometimes not told the text in training can say what would follow without it. When
speaking, what it predicts is led away from that, `guidance` times as far as the text moves it.
"""

from torch import Tensor

UNTOLD_SHARE = 0.1  # of what is trained on: what guidance leads away from


def num_ways(guidance: float) -> int:
    """How many rows stand for one: told the text, and not, where there is guidance."""
    return 1 if guidance == 1 else 2


def led(rows: Tensor, guidance: float) -> Tensor:
    """What was predicted of `num_ways` rows for one, those that are told first, `[num_ways * B,
    ...]`, as guidance has it: `[B, ...]`."""
    ways = rows.chunk(num_ways(guidance))
    told, untold = ways[0], ways[-1]
    return untold + guidance * (told - untold)
