"""Temporary files of the page, including uploaded recordings; removed with the server."""

import os
import shutil
import tempfile
from pathlib import Path

_VARIABLE = "GRADIO_TEMP_DIR"
_PREFIX = "repartee-page-"


class PageFiles:
    """A temporary folder for this process, set as Gradio's; create it before importing Gradio.

    Also removes leftovers of servers that were killed.
    """

    def __init__(self) -> None:
        self._before = os.environ.get(_VARIABLE)
        parent = Path(self._before or tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(parent)
        self._folder = tempfile.TemporaryDirectory(
            prefix=f"{_PREFIX}{os.getpid()}-", dir=parent, ignore_cleanup_errors=True
        )
        self.path = Path(self._folder.name)
        os.environ[_VARIABLE] = self._folder.name

    def close(self) -> None:
        """Removes the folder."""
        if os.environ.get(_VARIABLE) == self._folder.name:
            if self._before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = self._before
        self._folder.cleanup()


def _remove_leftovers(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*-*"):
        number = folder.name.removeprefix(_PREFIX).partition("-")[0]
        mine = folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid()
        if mine and number.isdigit() and not Path("/proc", number).exists():
            shutil.rmtree(folder, ignore_errors=True)
