"""Checks that the models a build needs are installed."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

from data.audio import models
from data.errors import InputError, MissingModelError
from data.ncssd import recognise, separation
from data.ncssd.config import BuildConfig

_WEIGHTS = Path(__file__).parent / "weights"
_SEPARATOR = _WEIGHTS / "separator.safetensors"
_TRAINED = {
    _WEIGHTS / "segmentation.safetensors": "train-segmentation CORPUS",
    _WEIGHTS / "voice_encoder.safetensors": "train-voice-encoder CORPUS",
    _SEPARATOR: "train-separator CORPUS",
    _WEIGHTS / "one_person.json": "train-one-person TRUTH",
}


def missing_models(config: BuildConfig, offline: bool) -> list[str]:
    """One line per missing model or package, with its path or how to install it.

    Raises:
        InputError: a setting names an unknown model, or contradicts --offline.
    """
    paths: list[Callable[[], Path]] = [models.silero_path]
    if config.quality.dnsmos:
        paths.append(models.dnsmos_path)
    found = [message for path in paths if (message := _missing(path))]
    for path, verb in _TRAINED.items():
        if path == _SEPARATOR and not config.overlaps.separate:
            continue
        if not path.is_file():
            found.append(f"{path} (python3 launch.py build {verb} --out {path})")
    for package in ("onnxruntime", "torch", "scipy"):
        if importlib.util.find_spec(package) is None:
            found.append(f"{package} is not installed: pip install {package}")
    if config.background.separation == "demucs":
        found += [missing] if (missing := separation.check()) else []
    if config.quality.min_agreement > 0 and config.recognise.second == "none":
        raise InputError("--min-agreement needs --second-recogniser")
    missing = recognise.check(config.recognise, offline)
    return [*found, missing] if missing else found


def _missing(path: Callable[[], Path]) -> str:
    try:
        path()
    except MissingModelError as error:
        return str(error)
    return ""
