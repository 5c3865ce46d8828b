"""`python3 -m kernels.decode_step.benchmark`: milliseconds per step by cache length.

Six blocks of GPT-Talker's size, one thread, medians, one JSON object per line. `operations` is the
same step as separate PyTorch operations with the matrix products of `kernels/int8_linear`.
"""

import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.decode_step import BlockWeights, decode_step
from kernels.decode_step.reference import rotated
from kernels.int8_linear.linear import int8_linear, quantise

_DIM, _HEADS, _INNER, _BLOCKS, _CAPACITY = 256, 4, 704, 6, 1536
_REPEATS = 60


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    blocks = [random_block(_DIM, _INNER) for _ in range(_BLOCKS)]
    width = _DIM // _HEADS
    caches = [
        (random_cache(_HEADS, width, _CAPACITY), random_cache(_HEADS, _CAPACITY, width))
        for _ in blocks
    ]
    angles = torch.rand(_DIM // _HEADS // 2)
    turn = (angles.cos(), angles.sin())
    for length in (1, 100, 400, 1000):
        found: dict[str, float] = {"past": length}
        for name, way in (("operations", _operations), ("one", decode_step)):
            found[f"{name}_ms"] = round(_median_ms(way, blocks, caches, turn, length), 3)
        print(json.dumps(found))


def _median_ms(way: Callable[..., Tensor], blocks, caches, turn, length: int) -> float:
    times = []
    with torch.inference_mode():
        for _ in range(_REPEATS):
            x = torch.randn(_DIM)
            begun = time.perf_counter()
            for weights, (keys, values) in zip(blocks, caches, strict=True):
                x = way(x, weights, turn, keys, values, length)
            times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def _operations(
    x: Tensor,
    weights: BlockWeights,
    turn: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    length: int,
) -> Tensor:
    w = weights
    normed = F.layer_norm(x, x.shape, w.attention_norm)[None]
    qkv = int8_linear(normed, w.qkv, w.qkv_scale, None).view(3, len(keys), 1, -1)
    turned = rotated(qkv[:2], turn)
    keys[..., length], values[:, length] = turned[1, :, 0], qkv[2, :, 0]
    scores = (turned[0] * turned.shape[-1] ** -0.5).bfloat16() @ keys[..., : length + 1]
    shares = scores.softmax(-1, dtype=torch.float32).bfloat16()
    heard = (shares @ values[:, : length + 1]).float()
    x = x + int8_linear(heard.view(1, -1), w.out, w.out_scale, None)[0]
    normed = F.layer_norm(x, x.shape, w.ffn_norm)[None]
    gate, up = int8_linear(normed, w.gate_up, w.gate_up_scale, None).chunk(2, dim=-1)
    return x + int8_linear(F.silu(gate) * up, w.down, w.down_scale, None)[0]


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
