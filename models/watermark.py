"""An inaudible watermark in files of speech, by AudioSeal (arXiv 2401.17264).

Its detector finds the mark again after compression, noise and cuts. The package is optional. Its
version 0.2 forgets its state between the chunks of a stream, so only whole files are marked.
"""

import collections
import os
import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from data.errors import InputError, MissingModelError
from models.mel import SAMPLE_RATE

PACKAGE = "audioseal==0.2.0"
MESSAGE = 0x5250
"""The 16 bits that detectors read: "RP"."""
_CARD = "audioseal_wm_16bits"
_BITS = 16
_HOP = 320  # samples of the generator's frames
_BLOCK = 20 * SAMPLE_RATE  # marked at once, for memory


class Generator(Protocol):
    """AudioSeal's `AudioSealWM`."""

    def get_watermark(
        self, x: torch.Tensor, *, message: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The mark [1, 1, T] of speech `x`, T in whole hops."""
        ...


class Watermark:
    """Marks utterances, from any thread.

    Args:
        generator: in evaluation mode.
    """

    name = "audioseal"

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._lock = threading.Lock()
        bits = [MESSAGE >> at & 1 for at in reversed(range(_BITS))]
        self._message = torch.tensor([bits])

    def mark(self, samples: np.ndarray) -> np.ndarray:
        """Marked samples [T], float32 at 24 kHz, of samples [T]."""
        starts = range(0, len(samples), _BLOCK)
        marks = [self._mark_of(samples[at : at + _BLOCK]) for at in starts]
        if not marks:
            return samples
        return np.clip(samples + np.concatenate(marks), -1.0, 1.0).astype(np.float32)

    def _mark_of(self, samples: np.ndarray) -> np.ndarray:
        padded = np.pad(samples, (0, -len(samples) % _HOP)).astype(np.float32)
        with self._lock, torch.inference_mode():
            sound = torch.from_numpy(padded)[None, None]
            mark = self._generator.get_watermark(sound, message=self._message)
        return mark[0, 0, : len(samples)].numpy()


def load_watermark(weights: Path | None = None) -> Watermark:
    """Loads the generator.

    Args:
        weights: its checkpoint; None: the published one, downloaded once.

    Raises:
        MissingModelError: the package or its weights are missing.
        InputError: the file is no checkpoint of the generator.
    """
    os.environ.setdefault("NO_TORCH_COMPILE", "1")  # it would compile for minutes
    try:
        from audioseal.loader import (  # pyright: ignore[reportMissingImports]
            AudioSeal,
            AudioSealWMConfig,
            convert_state_dict_for_scriptable_model,
            create_generator,
            load_local_model_config,
            load_state_dict,
        )
    except ImportError:
        raise MissingModelError(
            f"--watermark needs AudioSeal: .venv/bin/python -m pip install {PACKAGE}"
        ) from None
    card = load_local_model_config(_CARD)
    path = _downloaded(str(card.pop("checkpoint"))) if weights is None else weights
    state = _read(path)
    generator = create_generator(AudioSeal.parse_config(dict(card), AudioSealWMConfig))
    if not any("inner_conv" in name for name in state):  # published before the package's 0.2
        state = convert_state_dict_for_scriptable_model(state)
    try:
        load_state_dict(generator, state)
    except (RuntimeError, AssertionError, AttributeError) as error:
        raise InputError(
            f"--watermark: {path} does not fit AudioSeal's generator ({error!s:.200})"
        ) from None
    return Watermark(generator.eval())


def _downloaded(url: str) -> Path:
    folder = Path.home() / ".cache" / "audioseal"
    path = folder / url.rpartition("/")[2]
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), progress=False)
    except OSError as error:
        raise MissingModelError(
            f"--watermark: AudioSeal's weights could not be downloaded ({error}); put {url} into "
            f"{folder}, or name the file: --watermark FILE"
        ) from None
    return path


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The state of a checkpoint, which may hold it under "model"; of anything pickled only tensors
    and the containers of a configuration are read."""
    from omegaconf import (  # pyright: ignore[reportMissingImports]
        DictConfig,
        ListConfig,
        base,
        nodes,
    )

    known = [DictConfig, ListConfig, base.ContainerMetadata, base.Metadata, nodes.AnyNode]
    known += [Any, dict, list, int, str, float, bool, collections.defaultdict]
    try:
        with torch.serialization.safe_globals(known):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds, from the file system to the format
        raise InputError(f"--watermark: {path} cannot be read ({error!s:.200})") from None
    if isinstance(found, dict) and isinstance(found.get("best_state"), dict):
        found = found["best_state"]
    if isinstance(found, dict) and isinstance(found.get("model"), dict):
        found = found["model"]
    if not isinstance(found, dict) or not all(torch.is_tensor(one) for one in found.values()):
        raise InputError(f"--watermark: {path} holds no weights of AudioSeal's generator")
    return found
