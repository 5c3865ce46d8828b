"""Weights as safetensors with their configuration as JSON; nothing is unpickled."""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from data.errors import InputError, MissingModelError
from data.files import atomic_path, atomic_write
from kernels.quantising import quantise
from models.text.symbols import stored_inventory

WEIGHTS = Path(__file__).parent / "weights"

_SCALE = ".int8_scale"
# Weights made by a recipe of another name.
_RECIPE_OF = {"semantic": "tokenizer", "posterior": "vocoder", "decoder": "vocoder"}

Config = TypeVar("Config")
Model = TypeVar("Model", bound=nn.Module)


def read_config(kind: type[Config], values: dict[str, object]) -> Config:
    """Builds a configuration dataclass from JSON values.

    Raises:
        ValueError: an unknown key, or a symbol inventory that is not a prefix of ours: the weights
            are from another version of the program.
    """
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if "symbols" in known:
        kept = {key: value for key, value in values.items() if key != "num_symbols"}
        values = {**kept, "symbols": stored_inventory(values)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(unknown)}; it knows {sorted(known)}")
    tupled = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    return kind(**tupled)


def save_model(
    folder: Path, name: str, model: nn.Module, config: object, half: bool, int8: bool = False
) -> None:
    """Writes `name.safetensors` and `name.json`.

    Args:
        folder: output folder.
        name: file name without suffix.
        model: its parameters and buffers are saved.
        config: dataclass, saved as JSON.
        half: store floats as float16.
        int8: store matrices as int8 with a float16 scale per row (`key.int8_scale`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {}
    matrices = {key for key, parameter in model.named_parameters() if parameter.dim() > 1}
    for key, value in model.state_dict().items():
        stored = value.detach().cpu().contiguous()
        if int8 and key in matrices:
            tensors[key], tensors[key + _SCALE] = quantise(stored, torch.float16)
        else:
            tensors[key] = stored.half() if half and stored.is_floating_point() else stored
    write_tensors(folder / f"{name}.safetensors", tensors)
    text = json.dumps(dataclasses.asdict(config), indent=2) + "\n"  # type: ignore[call-overload]
    atomic_write(folder / f"{name}.json", text)


def train_command(name: str, folder: Path) -> str:
    """The command that trains the weights called `name` in `folder`."""
    return f"python3 launch.py train {_RECIPE_OF.get(name, name)} --data DIR --out {folder}"


def load_config(folder: Path, name: str, kind: type[Config]) -> Config:
    """Loads the configuration of the weights called `name`.

    Raises:
        MissingModelError: it is missing.
        InputError: it is damaged, or from another version.
    """
    path = folder / f"{name}.json"
    if not path.is_file() or not (folder / f"{name}.safetensors").is_file():
        raise MissingModelError(
            f"the weights {name}.safetensors with {name}.json are not in {folder}; "
            f"make them with: {train_command(name, folder)}"
        )
    try:
        return read_config(kind, json.loads(path.read_text()))
    except ValueError as error:
        raise InputError(
            f"{path} cannot be used ({error}); its weights may be of another version of Repartee"
        ) from None


def load_model(
    folder: Path, name: str, kind: Callable[[Config], Model], config: type[Config]
) -> Model:
    """Builds the model called `name` from its configuration and loads its weights.

    Raises:
        MissingModelError: it is missing from `folder`.
    """
    model = kind(load_config(folder, name, config))
    load_weights(folder, name, model)
    return model


def load_weights(folder: Path, name: str, model: nn.Module) -> nn.Module:
    """Loads `name.safetensors` into `model`, strictly, as float32, in evaluation mode."""
    model.load_state_dict(load_tensors(folder, name), strict=True)
    return model.eval().requires_grad_(False)


def load_tensors(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """Loads the tensors of `name.safetensors`, floats as float32."""
    stored = load_file(folder / f"{name}.safetensors")
    wide = {}
    for key, value in stored.items():
        if key.endswith(_SCALE):
            continue
        wide[key] = value.float() if value.dtype == torch.float16 else value
        scale = stored.get(key + _SCALE)
        if scale is not None:
            shape = (-1, *[1] * (value.dim() - 1))
            wide[key] = value.float() * scale.float().view(shape)
    return wide


def sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tensors(
    path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Writes a safetensors file atomically.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:
            cause = re.search(r"os error (\d+)", str(error))
            if cause is None:
                raise
            raise OSError(int(cause[1]), os.strerror(int(cause[1]))) from None
