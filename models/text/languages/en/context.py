"""The context of a match, for the readers of signs, numbers and abbreviations."""

import re
from collections.abc import Callable

Reader = Callable[[re.Match[str]], str | None]
"""Returns the words to say, or None when this is not what its pattern took it for."""

_CONTEXT = 40
"""Characters on each side that a reader may look at: the whole text would cost its square."""


def before(match: re.Match[str]) -> str:
    """The text before a match."""
    return match.string[max(0, match.start() - _CONTEXT) : match.start()]


def after(match: re.Match[str]) -> str:
    """The text after a match."""
    return match.string[match.end() : match.end() + _CONTEXT]
