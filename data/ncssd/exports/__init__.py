"""What other tools read, made from the exported NCSSD dialogues: one format a file."""

from collections.abc import Callable
from pathlib import Path

from data.errors import InputError
from data.files import atomic_folder
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
        with atomic_folder(out / name, replace=True) as temporary:
            _WRITERS[name](temporary, out / "ncssd", rows)
