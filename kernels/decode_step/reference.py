"""The reference implementation in plain PyTorch."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class BlockWeights(NamedTuple):
    """A pre-norm block: rotary attention and a gated feed-forward network (SwiGLU, arXiv
    2002.05202). Matrices are int8 `[N, K]` with one float32 scale per row `[N]`; no biases.

    The rows of `qkv` are queries, keys, then values, each head by head; those of `gate_up` are all
    gates, then all values.
    """

    attention_norm: Tensor
    qkv: Tensor
    qkv_scale: Tensor
    out: Tensor
    out_scale: Tensor
    ffn_norm: Tensor
    gate_up: Tensor
    gate_up_scale: Tensor
    down: Tensor
    down_scale: Tensor


def decode_step_reference(
    x: Tensor,
    weights: BlockWeights,
    turn: tuple[Tensor, Tensor],
    keys: Tensor,
    values: Tensor,
    length: int,
) -> Tensor:
    """One position after `length` others: the block's output `[dim]`.

    Args:
        x: the input `[dim]`.
        weights: of the block.
        turn: cosines and sines of the position, each `[D / 2]` (arXiv 2104.09864, section 3.2.2).
        keys: of the past, bfloat16 `[H, D, capacity]`; that of this position is written to
            `length`.
        values: likewise, `[H, capacity, D]`.
        length: number of positions in the cache.
    """
    w = weights
    num_heads, width, _ = keys.shape
    qkv = _product(w.qkv, w.qkv_scale, F.layer_norm(x, x.shape, w.attention_norm))
    query, key, value = qkv.view(3, num_heads, width)
    keys[..., length], values[:, length] = rotated(key, turn), value
    seen_keys, seen_values = keys[..., : length + 1].float(), values[:, : length + 1].float()
    scores = rotated(query, turn)[:, None] @ seen_keys / width**0.5
    attended = (scores.softmax(-1) @ seen_values).flatten()
    x = x + _product(w.out, w.out_scale, attended)
    gate, up = _product(w.gate_up, w.gate_up_scale, F.layer_norm(x, x.shape, w.ffn_norm)).chunk(2)
    return x + _product(w.down, w.down_scale, F.silu(gate) * up)


def _product(weight_int8: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    return (weight_int8.float() @ x) * scale


def rotated(heads: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Heads `[..., D]`, rotated."""
    cos, sin = turn
    first, second = heads.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
