"""What every reading must hold, for the tests of all families."""

import re

from models.text import normalise


def check(written: str, said: str) -> None:
    """It is read like this, a second time changes nothing, and no sign or digit is left."""
    assert normalise(written) == said
    assert normalise(said) == said
    assert re.fullmatch(r"[\w' ,.?!;:—]*", said)
    assert not re.search(r"\d|_", said)
