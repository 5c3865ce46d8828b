"""`launch.py data synthetic`: texts are read aloud by the frontend that the models use."""

from data.command import main as data_command
from models.text import normalise


def main(argv: list[str]) -> int:
    """Runs `data synthetic`, whose texts may hold numbers, dates and signs."""
    return data_command(["synthetic", *argv], spell)


def spell(text: str) -> str:
    """A text as it is said, in the language that its script shows."""
    return normalise(text, language=None)
