"""Checks shared by the tests of all readings."""

import re

from models.text import normalise


def check(written: str, spoken: str) -> None:
    """Normalises as expected, is idempotent, and leaves no signs or digits."""
    assert normalise(written) == spoken
    assert normalise(spoken) == spoken
    assert re.fullmatch(r"[\w' ,.?!;:—]*", spoken)
    assert not re.search(r"\d|_", spoken)
