"""Encodes the text of a turn."""

import torch.nn.functional as F
from torch import Tensor, nn

from models.predictors.units import valid_units


class UnitEncoder(nn.Module):
    """Encodes units `[S, N, 3]` of S segments as `[S, N, dim]`, by residual convolutions."""

    def __init__(self, num_symbols: int, dim: int, depth: int, kernel: int = 5) -> None:
        super().__init__()
        self.symbol = nn.Embedding(num_symbols, dim)
        self.stress = nn.Embedding(3, dim)
        self.start = nn.Embedding(2, dim)
        self.convs = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel, padding=kernel // 2) for _ in range(depth)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(depth))

    def forward(self, units: Tensor, lengths: Tensor) -> Tensor:
        valid = valid_units(lengths, units.shape[1])
        valid = valid[..., None]
        symbol, stress, start = units.unbind(-1)
        h = self.symbol(symbol) + self.stress(stress) + self.start(start)
        for conv, norm in zip(self.convs, self.norms, strict=True):
            update = conv((norm(h) * valid).transpose(1, 2)).transpose(1, 2)
            h = h + F.gelu(update, approximate="tanh")
        return h * valid
