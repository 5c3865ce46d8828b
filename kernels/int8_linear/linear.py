"""y = x W^T + b with int8 W and one scale per row.

A decoding step multiplies one row by every matrix of the model, so it is bound by memory bandwidth,
and int8 weights take a quarter of the time of float32 (`kernels/panels.py`). Many rows are
compute-bound: if the CPU has instructions for bfloat16, an ordinary product in it is faster.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kernels.panels import Panels, multiply, scaled_panels
from kernels.processor import has_bf16
from kernels.quantising import quantise

# Above this the ordinary product in bfloat16 is faster in a transformer, whose blocks are one
# compiled call below it; a layer alone (`benchmark.py`) breaks even at 16.
FEW_ROWS = 64
# oneDNN compiles the ordinary product per number of rows and caches it for good (0.3 MB each), so
# varying row counts would let a server's memory creep up; they are padded to multiples of this.
ROWS_TOGETHER = 64


class Int8Linear(nn.Module):
    """Replaces a trained `nn.Linear` for inference on a CPU.

    Inputs `[..., K]`, outputs `[..., N]`, float32.

    Attributes:
        wide: dtype in which many rows are multiplied.
    """

    weight_int8: Tensor
    scale: Tensor
    weight: Tensor | None  # in bfloat16, where that is faster
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight_int8, scale = quantise(linear.weight.detach())
        self.register_buffer("weight_int8", weight_int8)
        self.register_buffer("scale", scale)
        self.wide = torch.bfloat16 if has_bf16() else torch.float32
        ordinary = (weight_int8.float() * scale[:, None]).bfloat16() if has_bf16() else None
        self.register_buffer("weight", ordinary)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())
        self._panels: Panels | None = None  # packed at first use: a transformer packs its own

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) > FEW_ROWS and self.weight is not None:
            made = self._product_of_many(rows, self.weight)
        else:
            if self._panels is None:
                self._panels = scaled_panels(self.weight_int8, self.scale, self.bias)
            made = torch.empty(len(rows), len(self.weight_int8))
            multiply(rows.detach().float().contiguous().numpy(), *self._panels, made.numpy())
        return made.view(*x.shape[:-1], len(self.weight_int8))

    def _product_of_many(self, rows: Tensor, weight: Tensor) -> Tensor:
        filled = F.pad(rows.to(weight.dtype), (0, 0, 0, -len(rows) % ROWS_TOGETHER))
        made = F.linear(filled, weight)[: len(rows)].to(rows.dtype)
        return made if self.bias is None else made + self.bias


def with_int8_linears(model: nn.Module) -> nn.Module:
    """Replaces every `nn.Linear` in `model` by an `Int8Linear`, and returns the model."""
    return with_linears(model, Int8Linear)


def with_linears(model: nn.Module, replacement: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    """Replaces every `nn.Linear` in `model` by its `replacement`, and returns the model."""
    for name, child in model.named_children():
        if isinstance(child, nn.Linear):
            setattr(model, name, replacement(child))
        else:
            with_linears(child, replacement)
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
