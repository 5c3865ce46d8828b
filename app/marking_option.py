"""`--no-marking` and `--watermark`, options of commands that synthesise."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.watermark import Watermark

_PUBLISHED = Path()  # `--watermark` without a file


def add_marking(parser: argparse.ArgumentParser) -> None:
    """Adds `no_marking`."""
    parser.add_argument(
        "--no-marking",
        action="store_true",
        help="do not mark files and responses as synthetic; whoever publishes them must then do "
        "so (EU AI Act, article 50)",
    )


def add_watermark(parser: argparse.ArgumentParser) -> None:
    """Adds `watermark`, for commands that write files."""
    parser.add_argument(
        "--watermark",
        type=Path,
        nargs="?",
        const=_PUBLISHED,
        metavar="FILE",
        help="also put an inaudible watermark into the speech (needs the package audioseal); FILE: "
        "its generator's weights (default: downloaded)",
    )


def watermark_of(args: argparse.Namespace) -> "Watermark | None":
    """The watermark that was asked for, loaded.

    Raises:
        InputError, MissingModelError: as `load_watermark`.
    """
    if args.watermark is None:
        return None
    from models.watermark import load_watermark

    return load_watermark(None if args.watermark == _PUBLISHED else args.watermark)
