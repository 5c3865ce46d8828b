"""Locates the weights of Smart Turn v3.2: a file, the user's cache, or the Hugging Face cache.

Smart Turn (Daily, BSD-2-Clause) is published on Hugging Face and included in the pipecat-ai wheel.
`python -m data.recognition.smart_turn_weights` extracts that file from the wheel, whose hash
`requirements-turns.txt` pins; pipecat itself is not installed.
"""

import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from data.errors import InputError, MissingModelError, RepError
from data.files import atomic_write
from data.recognition.whisper_weights import model_cache

FILE = "smart-turn-v3.2-cpu.onnx"
REPOSITORY = "pipecat-ai/smart-turn-v3"
INSTALL = ".venv/bin/python -m data.recognition.smart_turn_weights"
REQUIREMENT = Path(__file__).resolve().parents[2] / "requirements-turns.txt"
SHA256 = "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"

logger = logging.getLogger(__name__)


def find_smart_turn(given: Path | None = None) -> Path:
    """The file of Smart Turn's weights, without downloading.

    Args:
        given: a file of another version; None: the pinned one.

    Raises:
        InputError: the given file does not exist.
        MissingModelError: the weights are missing or damaged.
    """
    if given is not None:
        if not given.is_file():
            raise InputError(f"{given} does not exist; give the ONNX file of Smart Turn v3")
        return given
    for path in (_kept(), _from_hub(local=True)):
        if path is not None and path.is_file():
            return _checked(path)
    raise MissingModelError(
        f"the weights of Smart Turn are not on this machine; install them with `{INSTALL}`"
    )


def fetch_smart_turn() -> Path:
    """Extracts the weights from the pinned wheel, or else downloads them from Hugging Face, and
    caches them once verified.

    Raises:
        MissingModelError: both failed.
    """
    try:
        content = _from_wheel()
    except (RepError, OSError) as error:
        logger.warning("%s; trying huggingface.co/%s", error, REPOSITORY)
        path = _from_hub(local=False)
        if path is None:
            raise MissingModelError(f"Smart Turn could not be fetched ({error})") from None
        return _checked(path)
    _kept().parent.mkdir(parents=True, exist_ok=True)
    atomic_write(_kept(), content)
    return _checked(_kept())


def _kept() -> Path:
    return model_cache() / SHA256[:12] / FILE


def _from_hub(local: bool) -> Path | None:
    """The copy in the Hugging Face cache, downloaded first unless `local`."""
    try:
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(REPOSITORY, FILE, local_files_only=local))
    except Exception as error:  # not installed, or any network, hub or disk error
        if not local:
            logger.warning("Smart Turn could not be downloaded: %s", error)
        return None


def _from_wheel() -> bytes:
    with tempfile.TemporaryDirectory(prefix="smart-turn-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
        command += ["--require-hashes", "-d", folder, "-r", str(REQUIREMENT)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = " ".join((done.stderr or done.stdout).strip().splitlines()[-1:])
            raise MissingModelError(f"pip could not fetch {REQUIREMENT.name} ({last:.200})")
        for path in Path(folder).glob("*.whl"):
            with zipfile.ZipFile(path) as wheel:
                for name in wheel.namelist():
                    if name.endswith(f"/{FILE}"):
                        return wheel.read(name)
    raise MissingModelError(f"the package of {REQUIREMENT.name} holds no {FILE}")


def _checked(path: Path) -> Path:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise MissingModelError(
            f"{path} is damaged or of another version (SHA-256 {found[:16]}...); remove it and "
            f"install it again with `{INSTALL}`"
        )
    return path


if __name__ == "__main__":
    try:
        print(fetch_smart_turn())
    except RepError as failure:
        raise SystemExit(f"ERROR: {failure}") from None
