"""y = x W^T + b, W as whole numbers of 8 bits with a scale a row.

A step of decoding multiplies one row by every matrix of the model, so it takes as long as reading
the matrices does: 8 bits are read in a quarter of the time of 32. Many rows are bound by arithmetic
instead; they go through a common product with the same weights, in bfloat16 where the processor
has instructions for that, else in float32.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.processor import has_bf16

INNER_MULTIPLE = 32  # the vectorised product reads past the end of rows of other lengths
FEW_ROWS = 8  # more are faster by the common product (`benchmark.py`)
# The common product is compiled for each number of rows, and what was compiled is kept for good (a
# third of a megabyte): many rows come in so many that a server's memory would creep up for minutes.
ROWS_TOGETHER = 64
_SMALLEST_SCALE = 1e-7  # that float16 can hold


def quantise(matrix: Tensor, scale_type: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """A matrix `[N, ...]` as int8 `[N, ...]` and a scale a row `[N]`; a row's largest becomes 127.

    `scale_type` is the scale's; what it rounds, the whole numbers make up for.
    """
    rows = matrix.float().flatten(1)
    scale = (rows.abs().amax(1) / 127).clamp_min(_SMALLEST_SCALE).to(scale_type)
    whole = (rows / scale.float()[:, None]).round().clamp(-127, 127).to(torch.int8)
    return whole.view(matrix.shape), scale


def int8_linear(x: Tensor, whole: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """Rows `[M, K]` times `whole` `[N, K]` int8, scaled by `scale` `[N]`, plus `bias`: `[M, N]`.

    The activations are rounded to bfloat16, the sum to bfloat16 once; all else is float32.

    Raises:
        ValueError: K is not a multiple of `INNER_MULTIPLE`.
    """
    if whole.shape[1] % INNER_MULTIPLE:
        raise ValueError(f"K is {whole.shape[1]}; it must be a multiple of {INNER_MULTIPLE}")
    rounded = x.to(torch.bfloat16).contiguous()
    # inside, the scales would be rounded to bfloat16
    product = torch._weight_int8pack_mm(rounded, whole, _ones(whole.shape[0]))
    return _scaled(product, scale, bias)


def int8_linear_reference(x: Tensor, whole: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """What `int8_linear` computes, in float32 but for the same two roundings."""
    rounded = x.to(torch.bfloat16).float()
    product = (rounded @ whole.float().T).to(torch.bfloat16)
    return _scaled(product, scale, bias)


@functools.cache
def _ones(count: int) -> Tensor:
    return torch.ones(count, dtype=torch.bfloat16)


def _scaled(product: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    wide = product * scale  # float32, since the scale is
    return wide if bias is None else wide + bias


class Int8Linear(nn.Module):
    """In the place of a trained `nn.Linear`, for inference on a CPU.

    Inputs `[..., K]`, outputs `[..., N]`, float32.
    """

    weight_int8: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        whole, scale = quantise(linear.weight.detach())
        self.register_buffer("weight_int8", whole)
        self.register_buffer("scale", scale)
        wide = torch.bfloat16 if has_bf16() else torch.float32
        self.register_buffer("weight", (whole.float() * scale[:, None]).to(wide))
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
    """Puts an `Int8Linear` in the place of every `nn.Linear` inside `model`, which it returns, but
    for those with inputs that are no multiple of `INNER_MULTIPLE`."""
    for name, child in model.named_children():
        if isinstance(child, nn.Linear) and child.in_features % INNER_MULTIPLE == 0:
            setattr(model, name, Int8Linear(child))
        else:
            with_int8_linears(child)
    return model


def num_parameters(model: nn.Module) -> int:
    """How many numbers a model has learnt, those in an `Int8Linear` among them."""
    count = sum(parameter.numel() for parameter in model.parameters())
    for module in model.modules():
        if isinstance(module, Int8Linear):
            count += module.weight_int8.numel() + (
                0 if module.bias is None else module.bias.numel()
            )
    return count
