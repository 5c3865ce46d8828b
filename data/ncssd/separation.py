"""Separates speech from music and noise with demucs (optional; needs its model)."""

import functools
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from data.audio import resample
from data.errors import MissingModelError
from data.files import atomic_path
from data.ncssd.stage import Context
from data.ncssd.store import Row

_RATE = 44_100
_SCENE_RATE = 24_000


def model_path() -> Path:
    """Where demucs stores htdemucs: torch.hub's folder, set by TORCH_HOME."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    home = Path(os.environ.get("TORCH_HOME", cache)).expanduser()
    return home / "hub" / "checkpoints" / "955717e8-8726e21a.th"


def check() -> str | None:
    """Describes what separation is missing; None if it is ready."""
    if importlib.util.find_spec("demucs") is None:
        return f"demucs is not installed (pip install demucs), nor its model {model_path()}"
    if not model_path().is_file():
        return (
            f"{model_path()} is missing; download it once with: "
            "python -c \"from demucs.pretrained import get_model; get_model('htdemucs')\""
        )
    return None


def separate(row: Row, context: Context, key: str) -> Row:
    """Separates a scene's speech; `start`, `end` and `speech` then refer to the new file.

    `offset` is the scene's start in the source, in seconds.
    """
    channels = (0, 1) if row.get("speaker_channels") else (None,)
    voices = []
    for channel in channels:
        samples = context.read(row["audio"], row["start"], row["end"], _RATE, channel)
        voices.append(resample(_voice(samples, context.config.device), _RATE, _SCENE_RATE))
    path = context.store.path("background", key, ".wav")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        sound = np.clip(np.stack(voices, axis=1), -1.0, 1.0)
        soundfile.write(partial, sound, _SCENE_RATE, "PCM_24", format="WAV")
    offset = row["start"]
    return {
        **row,
        "audio": context.store.relative(path),
        "offset": offset,
        "start": 0.0,
        "end": round(row["end"] - offset, 3),
        "speech": _moved(row["speech"], offset),
        **_moved_channels(row, offset),
    }


def _moved(spans: list[list[float]], offset: float) -> list[list[float]]:
    return [[round(a - offset, 3), round(b - offset, 3)] for a, b in spans]


def _moved_channels(row: Row, offset: float) -> Row:
    spans = row.get("channel_speech")
    return {} if spans is None else {"channel_speech": [_moved(own, offset) for own in spans]}


def _voice(samples: np.ndarray, device: str) -> np.ndarray:
    import torch
    from demucs.apply import apply_model  # type: ignore[import-not-found]

    model = _model(device)
    mix = torch.from_numpy(np.stack([samples, samples]))[None]
    with torch.inference_mode():
        sources = apply_model(model, mix, shifts=0, progress=False, device=device)[0]
    return sources[model.sources.index("vocals")].mean(dim=0).cpu().numpy()


@functools.cache
def _model(device: str) -> Any:
    missing = check()
    if missing is not None:
        raise MissingModelError(missing)
    from demucs.pretrained import get_model  # type: ignore[import-not-found]

    return get_model("htdemucs").to(device).eval()
