"""`--no-marking`, an option of all commands that synthesise."""

import argparse


def add_marking(parser: argparse.ArgumentParser) -> None:
    """Adds `no_marking`."""
    parser.add_argument(
        "--no-marking",
        action="store_true",
        help="do not mark files and responses as synthetic; whoever publishes them must then do "
        "so (EU AI Act, article 50)",
    )
