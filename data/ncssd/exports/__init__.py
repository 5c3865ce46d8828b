"""Exports of NCSSD dialogues to other formats, one format per file."""

from collections.abc import Callable
from pathlib import Path

from data.errors import InputError
from data.files import atomic_folder
from data.ncssd.exports import duplex, huggingface, kaldi, lhotse, scoring
from data.ncssd.exports.utterances import Export, Listing
from data.ncssd.store import Row

_WRITERS: dict[str, Callable[[Export], None]] = {
    "huggingface": huggingface.write,
    "lhotse": lhotse.write,
    "kaldi": kaldi.write,
    "nemo": kaldi.write_nemo,
    "rttm": scoring.write,
    "duplex": duplex.write,
}
FORMATS = tuple(_WRITERS)
__all__ = ["FORMATS", "Listing", "write_exports"]


def write_exports(
    formats: tuple[str, ...],
    out: Path,
    rows: list[Row],
    listing: Listing | None = None,
) -> None:
    """Writes `out/<format>` for each format, atomically replacing older ones.

    Args:
        formats: names in `FORMATS`.
        out: the build's folder.
        rows: the accepted dialogues.
        listing: options of the manifests.

    Raises:
        InputError: an unknown format.
    """
    for name in formats:
        if name not in _WRITERS:
            raise InputError(f"unknown format {name!r}; choose one of {', '.join(FORMATS)}")
        final = out / name
        with atomic_folder(final, replace=True) as temporary:
            ncssd = out / "ncssd"
            _WRITERS[name](Export(temporary, final, ncssd, rows, listing or Listing()))
