"""Devices of the dataset builder's networks: parses their names, and checks that they are there."""

import re
from typing import Any

from data.errors import InputError

PROVIDER = "CUDAExecutionProvider"


def find_device(name: str) -> str:
    """The device that a name stands for: `cpu`, `cuda` or `cuda:N`.

    Args:
        name: one of those, or `auto`: `cuda` if PyTorch and ONNX Runtime can both use it, else
            `cpu`.

    Raises:
        InputError: the name is unknown, or there is no such device.
    """
    if name == "cpu":
        return name
    if name == "auto":
        return "cpu" if _lacking("cuda") else "cuda"
    if not re.fullmatch(r"cuda(:\d+)?", name):
        raise InputError(f"unknown device {name!r}; choose cpu, cuda, cuda:N or auto")
    if lacking := _lacking(name):
        raise InputError(f"cannot use the device {name!r}: {lacking}, or use cpu")
    return name


def check_whisper_device(whisper: str) -> None:
    """Raises InputError unless Whisper can run on `cpu`, `cuda`, or `auto`, by which CTranslate2
    chooses."""
    if whisper not in ("cpu", "cuda", "auto"):
        raise InputError(f"unknown device {whisper!r} for Whisper; choose cpu, cuda or auto")
    if whisper == "cuda":
        import ctranslate2

        if not ctranslate2.get_cuda_device_count():
            raise InputError(
                "cannot use the device 'cuda' for Whisper: CTranslate2 finds no CUDA GPU; check "
                "the driver (nvidia-smi), or use --asr-device cpu"
            )


def _lacking(name: str) -> str:
    """What a CUDA device lacks, and how to get it; empty if nothing."""
    import onnxruntime
    import torch

    number = torch.cuda.device_count()
    if not number:
        return "PyTorch finds no CUDA GPU; check the driver (nvidia-smi) and that torch has CUDA"
    if index_of(name) >= number:
        return f"PyTorch finds {number} CUDA GPUs; choose one of cuda:0 to cuda:{number - 1}"
    if PROVIDER not in onnxruntime.get_available_providers():
        return (
            f"ONNX Runtime has no {PROVIDER}; run: pip uninstall onnxruntime, then "
            "pip install onnxruntime-gpu"
        )
    return ""


def index_of(name: str) -> int:
    """The number of a CUDA device, 0 for `cuda`."""
    return int(name.partition(":")[2] or 0)


def providers(name: str) -> list[Any]:
    """The execution providers of an ONNX Runtime session on a device."""
    return [
        ("CPUExecutionProvider", {}) if name == "cpu" else (PROVIDER, {"device_id": index_of(name)})
    ]
