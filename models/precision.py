"""Precision of training, and of inference on a GPU: bf16 where the hardware supports it, else fp32.

Training uses autocast; a CPU's 8-bit weights are in `kernels/int8_linear`.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.errors import InputError
from kernels.processor import has_bf16

Precision = Literal["bf16", "fp32"]
Choice = Literal["auto", "bf16", "fp32"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

_choice: Choice = "auto"


def choose(choice: Choice) -> None:
    """Sets the training precision of this process, as `torch.set_num_threads` sets its threads.

    Raises:
        InputError: it is not one of `CHOICES`.
    """
    global _choice
    if choice not in CHOICES:
        raise InputError(f"precision is {choice!r}; it must be one of {', '.join(CHOICES)}")
    _choice = choice


def supports_bf16(device: torch.device) -> bool:
    """Whether `device` supports bfloat16 in hardware, not by emulation."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return has_bf16()


def precision_on(device: torch.device) -> Precision:
    """Training precision on `device`: as chosen, or what suits the hardware."""
    if _choice != "auto":
        return _choice
    return "bf16" if supports_bf16(device) else "fp32"


def autocast(device: torch.device) -> torch.autocast:
    """The autocast context for training and its data preparation."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision_on(device) == "bf16")


def describe(device: torch.device) -> str:
    """The precision and the reason for it."""
    precision, native = precision_on(device), supports_bf16(device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "this processor"
    if precision == "bf16":
        why = (
            f"{name} computes bfloat16"
            if native
            else f"by --precision; {name} only emulates bfloat16, slowly"
        )
    elif native:
        why = f"by --precision; {name} also computes bfloat16"
    else:
        why = f"{name} has no bfloat16"
    return f"{precision} ({why})"


class Bf16Linear(nn.Module):
    """Replaces a trained `nn.Linear` for inference: multiplies in bfloat16, as training does under
    autocast, and keeps the dtype of its inputs."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        bias = linear.bias
        self.register_buffer("weight", linear.weight.detach().bfloat16())
        self.register_buffer("bias", None if bias is None else bias.detach().bfloat16())

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.to(self.weight.dtype), self.weight, self.bias).to(x.dtype)
