"""KV caches of running dialogues: each with buffers of its own, or as a row of a shared pool."""

import logging
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

logger = logging.getLogger(__name__)


@dataclass
class KeyValues:
    """KV cache of one layer: keys `[B, H, D, capacity]`, values `[B, H, capacity, D]`, of which
    `length` are used. Buffers double when full. Keys are stored transposed for the score
    product.

    `row` is the row of a `KVPool` that the buffers are views of; None if they are its own.
    """

    keys: Tensor
    values: Tensor
    length: int = 0
    row: "PoolRow | None" = None

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends positions `[B, H, T, D]`; returns all keys `[B, H, D, length]` and values `[B, H,
        length, D]`."""
        start, end = self.length, self.extend(keys.shape[2])
        self.keys[..., start:end] = keys.transpose(-1, -2)
        self.values[:, :, start:end] = values
        return self.keys[..., :end], self.values[:, :, :end]

    def extend(self, count: int) -> int:
        """Reserves `count` positions for the caller to write; returns the new length."""
        self.length += count
        capacity = self.values.shape[2]
        if self.length > capacity:
            grow = max(self.length, 2 * capacity) - capacity
            self.keys = F.pad(self.keys, (0, grow))
            self.values = F.pad(self.values, (0, 0, 0, grow))
            self.row = None  # too long for the pool
        return self.length

    def truncate(self, length: int) -> None:
        """Drops all positions from `length` on."""
        self.length = min(self.length, length)

    def drop(self, start: int, end: int) -> None:
        """Drops positions `start` to `end` and closes the gap."""
        kept = self.length - end
        self.keys[..., start : start + kept] = self.keys[..., end : self.length].clone()
        self.values[:, :, start : start + kept] = self.values[:, :, end : self.length].clone()
        self.length = start + kept

    def copy(self) -> "KeyValues":
        """A copy in buffers of its own."""
        return KeyValues(self.keys.clone(), self.values.clone(), self.length)


@dataclass(eq=False)
class PoolRow:
    """A row of a pool, free again once the last cache in it is gone."""

    index: int
    _free: list[int] = field(repr=False)

    def __del__(self) -> None:
        self._free.append(self.index)


class KVPool:
    """The KV caches of many dialogues, a row each: one operation reads or extends all of a batch.

    Any thread may take a row.

    Attributes:
        keys, values: buffers per layer, `[num_rows + 1, H, D, capacity]` and `[num_rows + 1, H,
            capacity, D]`.
        scratch: the last row, which no dialogue has, for the padding of a batch.
    """

    def __init__(
        self,
        num_rows: int,
        depth: int,
        num_heads: int,
        width: int,
        capacity: int,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        def room(*shape: int) -> list[Tensor]:
            whole = (num_rows + 1, num_heads, *shape)
            return [torch.zeros(whole, device=device, dtype=dtype) for _ in range(depth)]

        self.keys, self.values = room(width, capacity), room(capacity, width)
        self.capacity, self.num_rows, self.scratch = capacity, num_rows, num_rows
        self._free = list(reversed(range(num_rows)))
        self._has_warned = False

    @property
    def num_free(self) -> int:
        """Number of rows that no dialogue uses."""
        return len(self._free)

    def take(self) -> list[KeyValues] | None:
        """An empty row as a KV cache per layer; None, with one warning, if all are in use."""
        try:
            row = PoolRow(self._free.pop(), self._free)
        except IndexError:
            if not self._has_warned:
                self._has_warned = True
                logger.warning(
                    "all %d caches on the GPU are in use; more dialogues run outside the pool, "
                    "each in a slower step of its own",
                    self.num_rows,
                )
            return None
        caches = []
        with torch.inference_mode():
            for keys, values in zip(self.keys, self.values, strict=True):
                part = slice(row.index, row.index + 1)
                # Masked positions count for nothing only as long as they are finite.
                caches.append(KeyValues(keys[part].zero_(), values[part].zero_(), 0, row))
        return caches

    def write(self, layer: int, rows: Tensor, at: Tensor, keys: Tensor, values: Tensor) -> None:
        """Writes a position `at` `[B]` of each of `rows` `[B]`: keys and values `[B, H, D]`."""
        self.keys[layer][rows, :, :, at] = keys.to(self.keys[layer].dtype)
        self.values[layer][rows, :, at] = values.to(self.values[layer].dtype)

    def read(self, layer: int, rows: Tensor, limit: int) -> tuple[Tensor, Tensor]:
        """The first `limit` positions of `rows` `[B]`: keys `[B, H, D, limit]` and values `[B, H,
        limit, D]`."""
        keys = self.keys[layer][..., :limit].index_select(0, rows)
        return keys, self.values[layer][:, :, :limit].index_select(0, rows)
