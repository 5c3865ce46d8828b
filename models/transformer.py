"""The transformer that tokenizer and predictors are made of."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rotate(x: Tensor, positions: Tensor) -> Tensor:
    """Rotary position embedding (arXiv 2104.09864, section 3.2.2).

    `x` is `[B, H, T, D]`, `positions` `[T]` or `[B, T]`.
    """
    half = x.shape[-1] // 2
    frequencies = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    angles = positions[..., None].float() * frequencies
    if angles.dim() == 3:
        angles = angles[:, None]
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


@dataclass
class KeyValues:
    """Keys and values of the past, `[B, H, length, D]`, in a buffer that doubles when full."""

    keys: Tensor
    values: Tensor
    length: int = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        end = self.length + keys.shape[2]
        if end > self.keys.shape[2]:
            grow = max(end, 2 * self.keys.shape[2]) - self.keys.shape[2]
            self.keys = F.pad(self.keys, (0, 0, 0, grow))
            self.values = F.pad(self.values, (0, 0, 0, grow))
        self.keys[:, :, self.length : end] = keys
        self.values[:, :, self.length : end] = values
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def truncate(self, length: int) -> None:
        """Forgets everything from position `length` on."""
        self.length = min(self.length, length)

    def drop(self, start: int, end: int) -> None:
        """Forgets positions `start` to `end` in the middle."""
        kept = self.length - end
        self.keys[:, :, start : start + kept] = self.keys[:, :, end : self.length].clone()
        self.values[:, :, start : start + kept] = self.values[:, :, end : self.length].clone()
        self.length = start + kept

    def copy(self) -> "KeyValues":
        return KeyValues(self.keys.clone(), self.values.clone(), self.length)


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(
        self, x: Tensor, positions: Tensor, mask: Tensor | None, past: KeyValues | None = None
    ) -> Tensor:
        batch, length, dim = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotate(q, positions), rotate(k, positions)
        if past is not None:
            k, v = past.append(k, v)
        causal = mask is None and past is None
        h = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        return self.out(h.transpose(1, 2).reshape(batch, length, dim))


def continue_mask(past: int, length: int, device: torch.device) -> Tensor | None:
    """What `length` new positions may see after `past` old ones, causally."""
    if length == 1:
        return None
    new = torch.arange(length, device=device)[:, None] + past
    return (torch.arange(past + length, device=device)[None] <= new)[None, None]


class TransformerBlock(nn.Module):
    """Pre-norm attention and a gated feed-forward network (SwiGLU, arXiv 2002.05202)."""

    def __init__(self, dim: int, num_heads: int, ffn_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim, bias=False)
        self.attention = Attention(dim, num_heads)
        self.ffn_norm = nn.LayerNorm(dim, bias=False)
        self.gate_up = nn.Linear(dim, 2 * ffn_dim, bias=False)
        self.down = nn.Linear(ffn_dim, dim, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, positions: Tensor, mask: Tensor | None, past: KeyValues | None = None
    ) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), positions, mask, past))
        gate, up = self.gate_up(self.ffn_norm(x)).chunk(2, dim=-1)
        return x + self.dropout(self.down(F.silu(gate) * up))


class Transformer(nn.Module):
    """A stack of blocks and a final norm, `[B, T, dim]` to `[B, T, dim]`.

    Offline, `mask` `[B or 1, 1, T, T]` says what may be seen (True: seen; None: causal). With a
    `past`, one cache a block, the new positions see what `mask` `[1, 1, T, past + T]` allows (None:
    everything, right for one new position; `continue_mask` makes it for several).
    """

    def __init__(
        self, dim: int, depth: int, num_heads: int, ffn_dim: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dim, self.num_heads = dim, num_heads
        self.blocks = nn.ModuleList(
            TransformerBlock(dim, num_heads, ffn_dim, dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim, bias=False)

    def init_state(
        self, batch: int, device: torch.device, dtype: torch.dtype, capacity: int = 512
    ) -> list[KeyValues]:
        shape = (batch, self.num_heads, capacity, self.dim // self.num_heads)
        return [
            KeyValues(
                torch.empty(shape, device=device, dtype=dtype),  # pages count once they are used
                torch.empty(shape, device=device, dtype=dtype),
            )
            for _ in self.blocks
        ]

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        mask: Tensor | None,
        past: list[KeyValues] | None = None,
    ) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = block(x, positions, mask, None if past is None else past[index])
        return self.norm(x)
