"""How much text one request, turn or conversation may hold: the one place that says so.

Every way in applies these before any work is done. The speech models hold on their own account:
they hear the end of a longer turn and refuse to speak a longer text.
"""

import re

from data.errors import InputError
from data.text import valid_text

MAX_SPOKEN = 4096
"""Characters of one text to speak, whole or joined from pieces; OpenAI's limit as well."""
MAX_TURN = 4096
"""Characters of one turn of a dialogue, whole or joined from several items."""
MAX_TYPED = 2000
"""Characters of one message that a person types."""
MAX_CONTEXT = 16_384
"""Characters of all turns that lead up to a reply, together."""
MAX_CONTEXT_TURNS = 64
"""Turns that lead up to a reply; the speech models remember the last `MAX_PAST_TURNS`."""
MAX_PAST_TURNS = 6
"""Turns before an answer that the speech models hear; none is trained on more."""
MAX_INSTRUCTIONS = 16_384
"""Characters of instructions to a language model."""


def limited_text(text: str, most: int, what: str = "the text") -> str:
    """Valid Unicode of at most `most` characters, with something in it.

    Args:
        text: as it came in.
        most: one of the limits above.
        what: what the message calls it.

    Raises:
        InputError: it is empty or too long.
    """
    text = valid_text(text)
    if not text.strip():
        raise InputError(f"{what} is empty; give words")
    if len(text) > most:
        raise InputError(f"{what} has {len(text)} characters; at most {most} are accepted")
    return text


def limited_context(lengths: list[int]) -> None:
    """Check how much text the turns before a reply hold together.

    Args:
        lengths: characters of each turn.

    Raises:
        InputError: too many turns, or too many characters in all of them.
    """
    if len(lengths) > MAX_CONTEXT_TURNS:
        raise InputError(
            f"there are {len(lengths)} turns before the reply; at most {MAX_CONTEXT_TURNS} are "
            "accepted: leave out the oldest"
        )
    if sum(lengths) > MAX_CONTEXT:
        raise InputError(
            f"the turns before the reply have {sum(lengths)} characters together; at most "
            f"{MAX_CONTEXT} are accepted: leave out the oldest"
        )


def last_words(text: str, most: int) -> str:
    """The end of a text, from the start of a word on, in at most `most` characters."""
    if len(text) <= most:
        return text
    end = text[-most:]
    if not text[-most - 1].isspace():
        end = re.sub(r"\A\S*\s+(?=\S)", "", end)  # the rest of a word that was cut
    return end.strip()
