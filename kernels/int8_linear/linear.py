"""y = x W^T + b with int8 W and one scale per row.

A decoding step multiplies one row by every matrix of the model, so it is bound by memory bandwidth,
and int8 weights take a quarter of the time of float32. Many rows are compute-bound instead and use
an ordinary matrix product with the same weights, in bfloat16 if the CPU has instructions for it,
else in float32.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.processor import has_bf16

INNER_MULTIPLE = 32  # the vectorised product reads past the end of rows of other lengths
FEW_ROWS = 8  # above this the ordinary product is faster (`benchmark.py`)
# oneDNN compiles the ordinary product per number of rows and caches it for good (0.3 MB each), so
# varying row counts would let a server's memory creep up; they are padded to multiples of this.
ROWS_TOGETHER = 64
_SMALLEST_SCALE = 1e-7  # representable in float16


def quantise(matrix: Tensor, scale_type: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Quantises `[N, ...]` to int8 `[N, ...]` with one scale per row `[N]` (row maximum = 127).

    `scale_type` is the scale's dtype; the integers compensate for its rounding.
    """
    rows = matrix.float().flatten(1)
    scale = (rows.abs().amax(1) / 127).clamp_min(_SMALLEST_SCALE).to(scale_type)
    weight_int8 = (rows / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return weight_int8.view(matrix.shape), scale


def int8_linear(x: Tensor, weight_int8: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """Rows `[M, K]` times `weight_int8` `[N, K]` int8, scaled by `scale` `[N]`, plus `bias`: `[M,
    N]`.

    The activations are rounded to bfloat16, the sum to bfloat16 once; all else is float32.

    Raises:
        ValueError: K is not a multiple of `INNER_MULTIPLE`.
    """
    if weight_int8.shape[1] % INNER_MULTIPLE:
        raise ValueError(f"K is {weight_int8.shape[1]}; it must be a multiple of {INNER_MULTIPLE}")
    rounded = x.to(torch.bfloat16).contiguous()
    # Inside the product the scales would be rounded to bfloat16.
    product = torch._weight_int8pack_mm(rounded, weight_int8, _ones(weight_int8.shape[0]))
    return _scaled(product, scale, bias)


def int8_linear_reference(
    x: Tensor, weight_int8: Tensor, scale: Tensor, bias: Tensor | None
) -> Tensor:
    """The reference of `int8_linear`: float32 except for the same two roundings."""
    rounded = x.to(torch.bfloat16).float()
    product = (rounded @ weight_int8.float().T).to(torch.bfloat16)
    return _scaled(product, scale, bias)


@functools.cache
def _ones(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.bfloat16)


def _scaled(product: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    wide = product * scale  # float32, since the scale is
    return wide if bias is None else wide + bias


class Int8Linear(nn.Module):
    """Replaces a trained `nn.Linear` for inference on a CPU.

    Inputs `[..., K]`, outputs `[..., N]`, float32.
    """

    weight_int8: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight_int8, scale = quantise(linear.weight.detach())
        self.register_buffer("weight_int8", weight_int8)
        self.register_buffer("scale", scale)
        wide = torch.bfloat16 if has_bf16() else torch.float32
        self.register_buffer("weight", (weight_int8.float() * scale[:, None]).to(wide))
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        width = x.shape[-1]
        rows = x.reshape(-1, width)
        if len(rows) > FEW_ROWS:
            made = self._product_of_many(rows)
        else:
            made = int8_linear(rows, self.weight_int8, self.scale, self.bias)
        return made.view(*x.shape[:-1], -1)

    def _product_of_many(self, rows: Tensor) -> Tensor:
        filled = F.pad(rows.to(self.weight.dtype), (0, 0, 0, -len(rows) % ROWS_TOGETHER))
        made = F.linear(filled, self.weight)[: len(rows)].to(rows.dtype)
        return made if self.bias is None else made + self.bias


def with_int8_linears(model: nn.Module) -> nn.Module:
    """Replaces every `nn.Linear` in `model` with an input size that is a multiple of
    `INNER_MULTIPLE` by an `Int8Linear`, and returns the model."""
    for name, child in model.named_children():
        if isinstance(child, nn.Linear) and child.in_features % INNER_MULTIPLE == 0:
            setattr(model, name, Int8Linear(child))
        else:
            with_int8_linears(child)
    return model


def num_parameters(model: nn.Module) -> int:
    """The number of parameters of a model, including those in `Int8Linear` layers."""
    count = sum(parameter.numel() for parameter in model.parameters())
    for module in model.modules():
        if isinstance(module, Int8Linear):
            count += module.weight_int8.numel() + (
                0 if module.bias is None else module.bias.numel()
            )
    return count
