"""The transformer used by tokenizer, predictors and thinker."""

import functools
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.errors import InputError
from kernels.decode_step import BlockWeights, PackedBlocks, decode_steps, pack
from kernels.int8_linear import FEW_ROWS, Int8Linear
from kernels.processor import has_bf16
from models.kv_cache import KeyValues, KVPool
from models.pooled_step import Capture, PooledStep

Rotation = tuple[Tensor, Tensor]


def rotation(positions: Tensor, width: int) -> Rotation:
    """Cosines and sines of rotary position embeddings (arXiv 2104.09864, section 3.2.2).

    `positions` is `[T]` or `[B, T]`; the result broadcasts over `[B, H, T, width / 2]`.
    """
    angles = positions[..., None].float() * _frequencies(width // 2, positions.device)
    if angles.dim() == 3:
        angles = angles[:, None]
    return angles.cos(), angles.sin()


@functools.cache
@torch.inference_mode(False)
def _frequencies(count: int, device: torch.device) -> Tensor:
    steps = torch.arange(count, device=device, dtype=torch.float32)
    return 10_000.0 ** (-steps / count)


def rotate(x: Tensor, by: Rotation) -> Tensor:
    """Applies a rotation to heads `x` `[..., B, H, T, D]`."""
    cos, sin = by[0].to(x.dtype), by[1].to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(
        self, x: Tensor, rotary: Rotation, mask: Tensor | None, past: KeyValues | None = None
    ) -> Tensor:
        batch, length, dim = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(qkv[:2], rotary)  # both at once, to launch fewer int8 operations
        v = qkv[2]
        if past is not None:
            # In the precision of the weights.
            kind = _dtype(self.qkv)
            h = causal_attention(q, *(each.to(kind) for each in past.append(k, v)))
        else:
            h = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return self.out(h.transpose(1, 2).reshape(batch, length, dim))

    def step(self, x: Tensor, rotary: Rotation, pasts: list[KeyValues]) -> Tensor:
        """Attention of one new position of each of B sequences, `[B, dim]`; caches are extended
        already."""
        q, k, v = self._projected(x, rotary)
        kind = _dtype(self.qkv)
        outputs = []
        for index, past in enumerate(pasts):
            end = past.length
            past.keys[0, ..., end - 1] = k[index, :, 0]
            past.values[0, :, end - 1] = v[index, :, 0]
            seen = past.keys[..., :end].to(kind), past.values[:, :, :end].to(kind)
            outputs.append(causal_attention(q[index : index + 1], *seen))
        return self.out(torch.cat(outputs).flatten(1))

    def step_rows(
        self, x: Tensor, rotary: Rotation, pool: KVPool, layer: int, at: "RowPositions"
    ) -> Tensor:
        """`step` of rows of a pool, extended in place; see `Transformer.step_rows`."""
        q, k, v = self._projected(x, rotary)
        pool.write(layer, at.rows, at.lengths, k[:, :, 0], v[:, :, 0])
        kind = _dtype(self.qkv)
        seen = (each.to(kind) for each in pool.read(layer, at.rows, at.unused.shape[-1]))
        return self.out(causal_attention(q, *seen, unused=at.unused).flatten(1))

    def _projected(self, x: Tensor, rotary: Rotation) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated queries and keys, and values, of one position each, `[B, H, 1, D]`."""
        qkv = self.qkv(x).view(len(x), 3, self.num_heads, 1, -1)
        turned = rotate(
            qkv[:, :2], (rotary[0][:, None, None, None], rotary[1][:, None, None, None])
        )
        return turned[:, 0], turned[:, 1], qkv[:, 2]


def _dtype(linear: nn.Module) -> torch.dtype:
    """The dtype in which a layer multiplies many rows."""
    return linear.wide if isinstance(linear, Int8Linear) else cast(nn.Linear, linear).weight.dtype


def causal_attention(
    q: Tensor, keys: Tensor, values: Tensor, unused: Tensor | None = None
) -> Tensor:
    """Causal attention of the last T of N positions, `[B, H, T, D]`.

    Masking the whole past would cost more than the products; only the new positions need a mask.

    Args:
        q: queries of the last positions, `[B, H, T, D]`.
        keys: all keys, `[B, H, D, N]`.
        values: all values, `[B, H, N, D]`, in the dtype of the keys, which the products use.
        unused: positions without a key, `[B, 1, 1, N]`; None: there are none.
    """
    length, width = q.shape[2:]
    scores = (q * width**-0.5).to(keys.dtype) @ keys
    if length > 1:
        later = torch.ones(length, length, dtype=torch.bool, device=q.device).triu(1)
        scores[..., -length:].masked_fill_(later, -torch.inf)
    if unused is not None:
        scores.masked_fill_(unused, -torch.inf)
    shares = scores.softmax(-1, dtype=torch.float32).to(values.dtype)
    return (shares @ values).to(q.dtype)


class RowPositions(NamedTuple):
    """Where a step writes and what it reads: `rows` of a pool and their `lengths` before, `[B]`,
    and which positions are `unused` after, `[B, 1, 1, limit]`."""

    rows: Tensor
    lengths: Tensor
    unused: Tensor


class TransformerBlock(nn.Module):
    """Pre-norm attention and a gated feed-forward network (SwiGLU, arXiv 2002.05202)."""

    def __init__(self, dim: int, num_heads: int, ffn_dim: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim, bias=False)
        self.attention = Attention(dim, num_heads)
        self.ffn_norm = nn.LayerNorm(dim, bias=False)
        self.gate_up = nn.Linear(dim, 2 * ffn_dim, bias=False)
        self.down = nn.Linear(ffn_dim, dim, bias=False)

    def forward(
        self, x: Tensor, rotary: Rotation, mask: Tensor | None, past: KeyValues | None = None
    ) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotary, mask, past)
        return self._fed(x)

    def step(self, x: Tensor, rotary: Rotation, pasts: list[KeyValues]) -> Tensor:
        """A decode step of B sequences, `[B, dim]` to `[B, dim]`; `rotary` is `[B, D / 2]`, `pasts`
        holds a cache per sequence, extended in place."""
        for past in pasts:
            past.extend(1)
        return self._fed(x + self.attention.step(self.attention_norm(x), rotary, pasts))

    def step_rows(
        self, x: Tensor, rotary: Rotation, pool: KVPool, layer: int, at: "RowPositions"
    ) -> Tensor:
        """`step` of rows of a pool; see `Transformer.step_rows`."""
        attended = self.attention.step_rows(self.attention_norm(x), rotary, pool, layer, at)
        return self._fed(x + attended)

    def int8_weights(self) -> BlockWeights | None:
        """The block's int8 weights; None unless all its weights are int8."""
        linears = (self.attention.qkv, self.attention.out, self.gate_up, self.down)
        int8 = [linear for linear in linears if isinstance(linear, Int8Linear)]
        if len(int8) < len(linears):
            return None
        qkv, out, gate_up, down = ((linear.weight_int8, linear.scale) for linear in int8)
        first, second = (each.weight.detach() for each in (self.attention_norm, self.ffn_norm))
        return BlockWeights(first, *qkv, *out, second, *gate_up, *down)

    def _fed(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Transformer(nn.Module):
    """A stack of blocks and a final norm, `[B, T, dim]` to `[B, T, dim]`.

    Without `past`, `mask` `[B or 1, 1, T, T]` is True where attention is allowed (None: causal).
    With `past`, a KV cache per block, attention is causal and `mask` is ignored. With int8 weights,
    new positions pass all blocks in one operation (`kernels/decode_step`), unless they are so many
    that products in bfloat16 are faster.
    """

    def __init__(self, dim: int, depth: int, num_heads: int, ffn_dim: int) -> None:
        super().__init__()
        if dim < 1 or num_heads < 1 or dim % (2 * num_heads):
            raise InputError(
                f"a transformer's dim is {dim}; it must be a multiple of {2 * num_heads}, which is "
                "twice its num_heads"
            )
        self.dim, self.num_heads = dim, num_heads
        self.blocks = nn.ModuleList(TransformerBlock(dim, num_heads, ffn_dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, bias=False)
        self._packed: PackedBlocks | None = None
        self.pooled: PooledStep | None = None

    def use_pool(
        self,
        num_rows: int,
        capacity: int,
        device: torch.device | str,
        capture: Capture | None = None,
    ) -> None:
        """Keeps the caches of up to `num_rows` dialogues in a pool from now on, to step them
        together; `capture` as in `PooledStep`."""
        width, kind = self.dim // self.num_heads, self.cache_dtype
        pool = KVPool(num_rows, len(self.blocks), self.num_heads, width, capacity, device, kind)
        self.pooled = PooledStep(pool, functools.partial(self.step_rows, pool), capture)

    def init_state(
        self, batch: int, device: torch.device | str, dtype: torch.dtype, capacity: int = 512
    ) -> list[KeyValues]:
        """Empty KV caches, in the pool if there is room; in bfloat16 for models with int8 or
        bfloat16 weights whatever `dtype` is, since reading them bounds the time of a step."""
        if self.pooled is not None and batch == 1 and capacity <= self.pooled.pool.capacity:
            row = self.pooled.pool.take()
            if row is not None:
                return row
        width = self.dim // self.num_heads
        if self.packed_blocks() is not None or self.cache_dtype == torch.bfloat16:
            dtype = torch.bfloat16

        def room(*shape: int) -> Tensor:
            # Touched now, so that a server's memory does not grow over its first minutes.
            return torch.empty(batch, self.num_heads, *shape, device=device, dtype=dtype).zero_()

        return [KeyValues(room(width, capacity), room(capacity, width)) for _ in self.blocks]

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        past: list[KeyValues] | None = None,
    ) -> Tensor:
        packed = None if past is None else self.packed_blocks()
        if past is not None and packed is not None and len(x) == 1 and _is_few(x.shape[1]):
            return _advance(x, packed, [int(positions[0])], [past])
        rotary = rotation(positions, self.dim // self.num_heads)
        for index, block in enumerate(self.blocks):
            x = block(x, rotary, mask, None if past is None else past[index])
        return self.norm(x)

    def step(self, x: Tensor, positions: list[int], pasts: list[list[KeyValues]]) -> Tensor:
        """A decode step of B sequences, `[B, dim]` to `[B, dim]`.

        Args:
            x: inputs `[B, dim]`.
            positions: position of each.
            pasts: a KV cache per block for each sequence, extended in place.
        """
        packed = self.packed_blocks()
        if packed is not None:
            return _advance(x[:, None], packed, positions, pasts)[:, 0]
        if self.pooled is None:
            return self._step_each(x, positions, pasts)
        held = [self.pooled.holds(past) for past in pasts]
        if all(held):
            return self.pooled(x, positions, pasts)
        made = torch.empty_like(x)
        for wanted, step in ((True, self.pooled), (False, self._step_each)):
            chosen = [number for number, each in enumerate(held) if each == wanted]
            if chosen:
                those = [positions[number] for number in chosen]
                made[chosen] = step(x[chosen], those, [pasts[number] for number in chosen])
        return made

    def step_rows(self, pool: KVPool, x: Tensor, numbers: Tensor, limit: int) -> Tensor:
        """`step` of rows of a pool, extended in place, `[B, dim]` to `[B, dim]`.

        Shapes are static: nothing depends on the values of a tensor or waits for the device, so
        that the step can be captured as a CUDA graph.

        Args:
            pool: the caches.
            x: inputs `[B, dim]`.
            numbers: `[3, B]`: the row of each in the pool, its position, and the length of the
                row before the step, under `limit`.
            limit: number of positions to read of each row.
        """
        rows, positions, lengths = numbers.unbind()
        rotary = rotation(positions, self.dim // self.num_heads)
        unused = torch.arange(limit, device=x.device) > lengths[:, None]
        at = RowPositions(rows, lengths, unused[:, None, None])
        for index, block in enumerate(self.blocks):
            assert isinstance(block, TransformerBlock)
            x = block.step_rows(x, rotary, pool, index, at)
        return self.norm(x)

    def _step_each(self, x: Tensor, positions: list[int], pasts: list[list[KeyValues]]) -> Tensor:
        """`step` of caches with buffers of their own, whose attention is computed one by one."""
        rotary = rotation(torch.tensor(positions, device=x.device), self.dim // self.num_heads)
        for index, block in enumerate(self.blocks):
            assert isinstance(block, TransformerBlock)
            x = block.step(x, rotary, [past[index] for past in pasts])
        return self.norm(x)

    @property
    def cache_dtype(self) -> torch.dtype:
        """The dtype in which attention is computed, and best cached."""
        return _dtype(cast(TransformerBlock, self.blocks[0]).attention.qkv)

    def packed_blocks(self) -> PackedBlocks | None:
        """The weights of all blocks for one operation, made once; None unless all are int8."""
        if self._packed is None:
            blocks = cast(list[TransformerBlock], list(self.blocks))
            weights = [each for block in blocks if (each := block.int8_weights()) is not None]
            if len(weights) == len(blocks):
                frequencies = _frequencies(self.dim // self.num_heads // 2, torch.device("cpu"))
                self._packed = pack(weights, self.norm.weight, frequencies)
        return self._packed


def _is_few(count: int) -> bool:
    """Whether so many positions at once are faster without products in bfloat16."""
    return count <= FEW_ROWS or not has_bf16()


def _advance(
    x: Tensor, weights: PackedBlocks, positions: list[int], pasts: list[list[KeyValues]]
) -> Tensor:
    """Positions `[B, T, dim]` through all blocks; extends a KV cache per block and sequence."""
    lengths = [past[0].length for past in pasts]
    for past in pasts:
        for cache in past:
            cache.extend(x.shape[1])
    keys = [[cache.keys[0] for cache in past] for past in pasts]
    values = [[cache.values[0] for cache in past] for past in pasts]
    return decode_steps(x, weights, positions, keys, values, lengths)


def initialise(module: nn.Module) -> None:
    """Small normal weights, no biases; for `Module.apply`."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
