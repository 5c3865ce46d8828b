"""Checks shared by the tests of all readings."""

import re

from models.text import normalise


def check(written: str, said: str) -> None:
    """Normalises as expected, is idempotent, and leaves no signs or digits."""
    assert normalise(written) == said
    assert normalise(said) == said
    assert re.fullmatch(r"[\w' ,.?!;:—]*", said)
    assert not re.search(r"\d|_", said)
