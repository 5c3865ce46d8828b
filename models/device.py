"""Parses device names."""

import torch

from data.errors import InputError


def parse_device(name: str) -> torch.device:
    """Parses a device name: `cpu`, `cuda` or `cuda:1`.

    Raises:
        InputError: there is no such device.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if (device.index or 0) < count:
        return device
    there = ", ".join(["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))])
    raise InputError(f"there is no device {name!r}; available: {there}")
