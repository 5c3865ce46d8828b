"""What the user has given and nobody has answered: typed texts, and turns that were ended by hand.

Its size is limited, as all of it becomes the next turns of the conversation at once.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from app.listening import Listening
from app.replies import Said
from app.settings import SessionSettings
from data.errors import InputError
from data.limits import MAX_TURN

_MAX_TYPED_ITEMS = 32
_MAX_COMMITTED = 8


@dataclass(frozen=True)
class Asked:
    """An answer that was asked for.

    Attributes:
        settings: of it.
        history: that it answers; None for the conversation's own.
    """

    settings: SessionSettings
    history: Sequence[Said] | None = None


class Inbox:
    """Used by one session, from the server's loop.

    Attributes:
        asked: the answer that was asked for, or None.
    """

    def __init__(self) -> None:
        self.asked: Asked | None = None
        self._typed: list[str] = []
        self._committed: deque[Listening] = deque()

    def __bool__(self) -> bool:
        return bool(self._typed or self._committed)

    @property
    def recognising(self) -> bool:
        """Whether the text of a committed turn is awaited."""
        return bool(self._committed)

    def write(self, text: str) -> None:
        """Takes a typed text.

        Raises:
            InputError: there would be too much to answer at once.
        """
        check_waiting([*self._typed, text])
        self._typed.append(text)

    def commit(self, turn: Listening) -> None:
        """Takes a turn whose sound is complete and whose text may be on its way.

        Raises:
            InputError: the recogniser is too far behind.
        """
        if len(self._committed) >= _MAX_COMMITTED:
            raise InputError(
                f"{_MAX_COMMITTED} turns wait to be recognised already; wait for their transcripts"
            )
        self._committed.append(turn)

    def take_typed(self) -> str:
        """The typed texts as one; empty if there are none."""
        text, self._typed = " ".join(self._typed), []
        return text

    def take_recognised(self) -> Listening | None:
        """The oldest committed turn, if its text is there."""
        if self._committed and self._committed[0].recognised:
            return self._committed.popleft()
        return None

    def clear(self) -> list[int]:
        """Forgets everything; nothing of it is recognised any more. The numbers of its turns."""
        numbers = [turn.number for turn in self._committed]
        for turn in self._committed:
            turn.abort()
        self._committed.clear()
        self._typed.clear()
        self.asked = None
        return numbers


def check_waiting(texts: Sequence[str]) -> None:
    """Raises InputError where these texts are more than is answered at once."""
    if len(texts) > _MAX_TYPED_ITEMS:
        raise InputError(
            f"{_MAX_TYPED_ITEMS} messages wait for an answer already; ask for one first"
        )
    length = sum(len(one) + 1 for one in texts) - 1
    if length > MAX_TURN:
        raise InputError(
            f"what waits for an answer would have {length} characters; at most {MAX_TURN} are "
            "answered at once: ask for an answer first"
        )
