"""`python3 -m kernels.decode_step.benchmark`: milliseconds by number of sequences, new positions of
each, and past positions.

Six blocks of GPT-Talker's size, one thread, medians of thread CPU time, one JSON object per line.
"""

import json
import statistics
import time

import torch
from torch import Tensor

from kernels.decode_step import BlockWeights, decode_steps, pack
from kernels.quantising import quantise

_DIM, _HEADS, _INNER, _BLOCKS, _CAPACITY = 256, 4, 704, 6, 1536
_REPEATS = 30


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    width = _DIM // _HEADS
    blocks = [random_block(_DIM, _INNER) for _ in range(_BLOCKS)]
    weights = pack(blocks, torch.ones(_DIM), torch.rand(width // 2))
    for batch, count, length in [
        *((batch, 1, 100) for batch in (1, 2, 4, 8, 16)),
        *((1, 1, length) for length in (1, 400, 1000)),
        *((1, count, length) for count in (90, 256) for length in (0, 1000)),
    ]:
        keys, values = (
            [[random_cache(_HEADS, *shape) for _ in range(_BLOCKS)] for _ in range(batch)]
            for shape in ((width, _CAPACITY), (_CAPACITY, width))
        )
        x, lengths = torch.randn(batch, count, _DIM), [length] * batch
        times = []
        for _ in range(_REPEATS):
            begun = time.thread_time()
            decode_steps(x, weights, lengths, keys, values, lengths)
            times.append(1000 * (time.thread_time() - begun))
        found = {"sequences": batch, "positions": count, "past": length}
        print(json.dumps({**found, "ms": round(statistics.median(times), 3)}))


def random_cache(*shape: int) -> Tensor:
    """Keys or values, bfloat16."""
    return torch.randn(shape).bfloat16()


def random_block(dim: int, inner: int) -> BlockWeights:
    """Random weights of a block with feed-forward width `inner`."""

    def matrix(rows: int, columns: int) -> tuple[Tensor, Tensor]:
        return quantise(torch.randn(rows, columns) / columns**0.5)

    attention = (torch.rand(dim) + 0.5, *matrix(3 * dim, dim), *matrix(dim, dim))
    ffn = (torch.rand(dim) + 0.5, *matrix(2 * inner, dim), *matrix(dim, inner))
    return BlockWeights(*attention, *ffn)


if __name__ == "__main__":
    main()
