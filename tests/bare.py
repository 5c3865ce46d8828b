"""A plugin, `-p tests.bare`: the tests run as on a machine that has none of `PROGRAMS`.

They are hidden from `PATH`, for child processes too, and flite's libraries from ctypes.
"""

import atexit
import ctypes
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from tests.programs import PROGRAMS


def _path_without(programs: tuple[str, ...]) -> str:
    """A folder of links to everything on `PATH` but `programs` and their variants."""
    folder = Path(tempfile.mkdtemp(prefix="bare-path-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for place in os.environ.get("PATH", os.defpath).split(os.pathsep):
        for program in Path(place).glob("*") if place else ():
            link = folder / program.name
            if not program.name.startswith(programs) and not link.is_symlink():
                link.symlink_to(program.absolute())
    return str(folder)


class _Library(ctypes.CDLL):
    def __init__(self, name: Any, *args: Any, **kwargs: Any) -> None:
        if str(name).startswith("libflite"):
            raise OSError(f"{name}: hidden by tests.bare")
        super().__init__(name, *args, **kwargs)


os.environ["PATH"] = _path_without(PROGRAMS)
ctypes.CDLL = _Library
