"""A voice: a name, a style vector, and optionally a prompt."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import load_file
from torch import Tensor

from data.errors import MissingModelError
from data.files import atomic_write
from models.checkpoint import train_command, write_tensors


@dataclass(frozen=True, eq=False)
class Prompt:
    """A voice's prompt: `text`, empty if unknown, and samples `[T]` at 24 kHz."""

    text: str
    samples: np.ndarray


@dataclass(frozen=True)
class Voice:
    """A voice; `style` is its style vector `[style_dim]`. A cloned voice has a `prompt`, which
    prompted predictors put before the dialogue, and a stored one `consent`: who allowed its use."""

    name: str
    description: str
    style: Tensor
    prompt: Prompt | None = None
    consent: str = ""


def load_voices(folder: Path) -> dict[str, Voice]:
    """Loads the bundled voices by name.

    Raises:
        MissingModelError: `folder` has none.
    """
    tensors, names = folder / "voices.safetensors", folder / "voices.json"
    if not tensors.is_file() or not names.is_file():
        raise MissingModelError(
            f"no voices in {folder}; make them with: {train_command('voices', folder)}"
        )
    styles = load_file(tensors)
    descriptions: dict[str, str] = json.loads(names.read_text())
    return {name: Voice(name, text, styles[name].float()) for name, text in descriptions.items()}


def save_voices(folder: Path, voices: dict[str, Voice]) -> None:
    """Saves the bundled voices."""
    styles = {name: voice.style.half().contiguous() for name, voice in voices.items()}
    write_tensors(folder / "voices.safetensors", styles)
    text = json.dumps({n: voice.description for n, voice in voices.items()}, indent=2) + "\n"
    atomic_write(folder / "voices.json", text)
