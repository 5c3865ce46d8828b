"""Programs that tests want and an ordinary machine lacks: who needs one skips, and says why."""

import ctypes
import functools
import shutil
from typing import Any

import pytest

from data.synthetic import VOICES

PROGRAMS = ("flite", "festival", "ffmpeg", "chromium")


def path_of(program: str) -> str | None:
    """Where a program lies on `PATH`."""
    return shutil.which(program) or shutil.which(f"{program}-browser")


@functools.cache
def installed(program: str) -> bool:
    """Whether `program` is on `PATH`, and of flite also the library that speaks for it."""
    if path_of(program) is None:
        return False
    if program == "flite":
        try:
            ctypes.CDLL("libflite.so.1")
        except OSError:
            return False
    return True


def missing(*programs: str) -> str:
    """Why a test is skipped, empty where all of `programs` are there."""
    absent = [program for program in programs if not installed(program)]
    names = " ".join(absent)
    return f"not installed: {names} (apt install {names})" if absent else ""


def need(*programs: str) -> None:
    """Skips the test that calls it unless all of `programs` are installed."""
    if reason := missing(*programs):
        pytest.skip(reason)


def voices(*names: str) -> list[Any]:
    """Synthetic voices as parameters; those whose synthesizer is missing are skipped."""
    return [pytest.param(name, marks=_mark(VOICES[name].synthesizer)) for name in names]


def _mark(synthesizer: str) -> Any:
    # espeak-ng comes as a wheel
    reason = "" if synthesizer == "espeak-ng" else missing(synthesizer)
    return pytest.mark.skipif(bool(reason), reason=reason or synthesizer)
