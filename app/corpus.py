"""`launch.py data synthetic`: the texts to be spoken are read aloud by the models' own frontend."""

from data.command import main as data_command
from models.text import normalise


def main(argv: list[str]) -> int:
    """Runs `data synthetic`, whose texts may hold numbers, dates and signs."""
    return data_command(["synthetic", *argv], normalise)
