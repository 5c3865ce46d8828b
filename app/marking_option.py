"""`--no-marking`, which every verb that speaks has."""

import argparse


def add_marking(parser: argparse.ArgumentParser) -> None:
    """Adds `no_marking`."""
    parser.add_argument(
        "--no-marking",
        action="store_true",
        help="do not say in files and answers that the speech is synthetic; whoever publishes it "
        "then has to (EU AI Act, article 50)",
    )
