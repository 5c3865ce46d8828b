"""Text limits of requests, turns and conversations.

Every entry point applies them before any work. The speech models have their own safeguards: they
truncate longer past turns to their end and refuse to speak a longer text.
"""

import re

from data.errors import InputError
from data.text import valid_text

MAX_SPOKEN = 4096
"""Characters of one text to speak, in one piece or streamed; also OpenAI's limit."""
MAX_TURN = 4096
"""Characters of one dialogue turn, in one or several items."""
MAX_TYPED = 2000
"""Characters of one typed message."""
MAX_CONTEXT = 16_384
"""Characters of all turns before a reply, in total."""
MAX_CONTEXT_TURNS = 64
"""Turns before a reply; the speech models use the last `MAX_PAST_TURNS`."""
MAX_PAST_TURNS = 6
"""Turns of context that the speech models use; none is trained on more."""
MAX_INSTRUCTIONS = 16_384
"""Characters of instructions to a language model."""


def limited_text(text: str, most: int, what: str = "the text") -> str:
    """The text as valid Unicode, checked to be non-blank and at most `most` characters.

    Args:
        text: the raw text.
        most: one of the limits above.
        what: its name in the error message.

    Raises:
        InputError: it is blank or too long.
    """
    text = valid_text(text)
    if not text.strip():
        raise InputError(f"{what} is empty; it must contain text")
    if len(text) > most:
        raise InputError(f"{what} has {len(text)} characters; at most {most} are accepted")
    return text


def limited_context(lengths: list[int]) -> None:
    """Checks the number and total length of the turns before a reply.

    Args:
        lengths: characters of each turn.

    Raises:
        InputError: too many turns, or too many characters in all of them.
    """
    if len(lengths) > MAX_CONTEXT_TURNS:
        raise InputError(
            f"there are {len(lengths)} turns before the reply; at most {MAX_CONTEXT_TURNS} are "
            "accepted: drop the oldest"
        )
    if sum(lengths) > MAX_CONTEXT:
        raise InputError(
            f"the turns before the reply have {sum(lengths)} characters in total; at most "
            f"{MAX_CONTEXT} are accepted: drop the oldest"
        )


def last_words(text: str, most: int) -> str:
    """The last `most` characters of a text at most, starting at a word boundary."""
    if len(text) <= most:
        return text
    end = text[-most:]
    if not text[-most - 1].isspace():
        end = re.sub(r"\A\S*\s+(?=\S)", "", end)  # the remainder of a split word
    return end.strip()
