"""Finite scalar quantisation: no codebook that could collapse."""

import copy
import math

import torch
from torch import Tensor, nn


class FSQ(nn.Module):
    """Rounds each dimension of a bounded vector to one of `levels[i]` values.

    "Finite Scalar Quantization: VQ-VAE Made Simple" (arXiv 2309.15505, section 3). `forward` takes
    `[..., D]` and returns quantised values in -1 to 1, with a straight-through gradient, and codes
    `[...]` in 0 to `prod(levels) - 1`.
    """

    levels: Tensor
    basis: Tensor

    def __init__(self, levels: tuple[int, ...]) -> None:
        super().__init__()
        self.num_codes = math.prod(levels)
        sizes = torch.tensor(levels)
        basis = torch.cumprod(torch.tensor([1, *levels[:-1]]), dim=0)
        self.register_buffer("levels", sizes, persistent=False)
        self.register_buffer("basis", basis, persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Each level covers an equal share of the tanh's range, for even numbers of levels too.
        unit = (torch.tanh(x.float()) + 1) / 2
        index = (unit * self.levels).floor().clamp_min(0).minimum(self.levels - 1)
        hard = self.to_values(index)
        soft = 2 * unit - 1
        return soft + (hard - soft).detach(), (index.long() * self.basis).sum(-1)

    def to_values(self, index: Tensor) -> Tensor:
        """Level indices `[..., D]` to level centres, in -1 to 1."""
        return (2 * index + 1) / self.levels - 1

    def decode(self, codes: Tensor) -> Tensor:
        """Codes `[...]` to values `[..., D]`."""
        index = codes[..., None] // self.basis % self.levels
        return self.to_values(index)


class CodeEmbedding(nn.Module):
    """Embeds codes `[...]` as `[..., dim]`: the sum of an embedding per code and one per level
    value.

    Codes that share level values share statistics. `num_extra` additional codes (such as
    begin-of-speech) have only their own embedding.
    """

    digits: Tensor

    def __init__(self, levels: tuple[int, ...], dim: int, num_extra: int = 0) -> None:
        super().__init__()
        self.num_codes = math.prod(levels)
        self.own = nn.Embedding(self.num_codes + num_extra, dim)
        self.shared = nn.Embedding(sum(levels) + 1, dim)
        self.register_buffer("digits", _digits(levels, num_extra), persistent=False)

    def forward(self, codes: Tensor) -> Tensor:
        return self.own(codes) + self.shared(self.digits[codes]).sum(-2)

    def folded(self) -> nn.Embedding:
        """The equivalent single embedding table, for inference."""
        vectors = self.own.weight + self.shared(self.digits).sum(-2)
        return nn.Embedding.from_pretrained(vectors.detach())


class CodeHead(nn.Module):
    """Hidden states `[..., dim]` to logits `[..., num_codes]`, factorised like `CodeEmbedding`."""

    digits: Tensor

    def __init__(self, levels: tuple[int, ...], dim: int) -> None:
        super().__init__()
        self.levels = levels
        self.own = nn.Linear(dim, math.prod(levels))
        self.shared = nn.Linear(dim, sum(levels))
        self.register_buffer("digits", _digits(levels, 0), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        logits = self.own(hidden)
        total = torch.zeros((), dtype=logits.dtype, device=logits.device)
        # The first level varies fastest, so it is the last axis.
        for index, part in enumerate(self.shared(hidden).split(list(self.levels), dim=-1)):
            shape = [1] * len(self.levels)
            shape[len(self.levels) - 1 - index] = self.levels[index]
            total = total + part.view(*part.shape[:-1], *shape)
        return logits + total.flatten(-len(self.levels))

    def folded(self) -> nn.Linear:
        """The equivalent single linear layer, for inference."""
        linear, own, shared = copy.deepcopy(self.own), self.own, self.shared
        linear.weight.data = own.weight.detach() + shared.weight.detach()[self.digits].sum(1)
        linear.bias.data = own.bias.detach() + shared.bias.detach()[self.digits].sum(1)
        return linear


def with_folded_codes(model: nn.Module) -> nn.Module:
    """Replaces every `CodeEmbedding` and `CodeHead` in `model` by its `folded` equivalent, in
    place: the sum over levels takes a dozen operations, a large part of a decode step."""
    for name, child in model.named_children():
        if isinstance(child, CodeEmbedding | CodeHead):
            setattr(model, name, child.folded())
        else:
            with_folded_codes(child)
    return model


def _digits(levels: tuple[int, ...], num_extra: int) -> Tensor:
    codes = torch.arange(math.prod(levels))
    columns, first, basis = [], 0, 1
    for size in levels:
        columns.append(codes // basis % size + first)
        first, basis = first + size, basis * size
    extra = torch.full((num_extra, len(levels)), first)
    return torch.cat([torch.stack(columns, dim=-1), extra])
