"""Files of the builder's networks: weights in half precision, and a JSON configuration."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load_file, save
from torch import nn

from data.errors import check_made
from data.files import atomic_write

Network = TypeVar("Network", bound=nn.Module)


def load_network(
    kind: type[Network],
    configuration: type[Any],
    weights: Path,
    command: str,
    device: str = "cpu",
) -> Network:
    """A trained network, in float32 and ready for inference; PyTorch then uses one thread.

    Args:
        kind: the network's class, built from a `configuration`.
        configuration: its dataclass.
        weights: the .safetensors file, with the configuration beside it.
        command: the verb of `launch.py` that makes the file.
        device: where it runs; its inputs have to be moved there.

    Raises:
        MissingModelError: the file is missing.
    """
    check_made(weights, command)
    torch.set_num_threads(1)
    model = kind(configuration(**json.loads(weights.with_suffix(".json").read_text())))
    state = {name: value.float() for name, value in load_file(weights).items()}
    model.load_state_dict(state, strict=True)
    return model.to(device).eval()


def save_network(model: nn.Module, configuration: Any, weights: Path) -> None:
    """Writes weights and configuration; each file is replaced atomically."""
    weights.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(weights.with_suffix(".json"), json.dumps(asdict(configuration)) + "\n")
    state = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    atomic_write(weights, save(state))
