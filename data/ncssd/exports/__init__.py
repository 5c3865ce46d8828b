"""What other tools read, made from the exported NCSSD dialogues: one format a file."""

import shutil
from collections.abc import Callable
from pathlib import Path

from data.errors import InputError
from data.ncssd.exports import huggingface, kaldi, lhotse, scoring
from data.ncssd.store import Row

_WRITERS: dict[str, Callable[[Path, Path, list[Row]], None]] = {
    "huggingface": huggingface.write,
    "lhotse": lhotse.write,
    "kaldi": kaldi.write,
    "nemo": kaldi.write_nemo,
    "rttm": scoring.write,
}
FORMATS = tuple(_WRITERS)


def write_exports(formats: tuple[str, ...], out: Path, rows: list[Row]) -> None:
    """Writes `out/<format>` for each, whole or not at all; an older one is replaced.

    Raises:
        InputError: a format that is not known.
    """
    for name in formats:
        if name not in _WRITERS:
            raise InputError(f"unknown format {name!r}; choose of {', '.join(FORMATS)}")
        temporary, final = out / f".{name}.partial", out / name
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _WRITERS[name](temporary, out / "ncssd", rows)
        shutil.rmtree(final, ignore_errors=True)
        temporary.rename(final)
