"""The user's unanswered input: typed texts, and turns committed by the client.

Its size is limited, because all of it becomes the next turns of the conversation at once.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from app.replies import ChatMessage
from app.settings import SessionSettings
from app.turn_recognition import TurnRecognition
from data.errors import InputError
from data.limits import MAX_TURN

_MAX_TYPED_ITEMS = 32
_MAX_COMMITTED = 8


@dataclass(frozen=True)
class ReplyRequest:
    """A requested answer.

    Attributes:
        settings: the answer's settings.
        history: the history to answer; None: the conversation's own.
    """

    settings: SessionSettings
    history: Sequence[ChatMessage] | None = None


class Inbox:
    """Used by one session, from the server's loop.

    Attributes:
        requested: the requested answer, or None.
    """

    def __init__(self) -> None:
        self.requested: ReplyRequest | None = None
        self._typed: list[str] = []
        self._committed: deque[TurnRecognition] = deque()

    def __bool__(self) -> bool:
        return bool(self._typed or self._committed)

    @property
    def recognising(self) -> bool:
        """Whether a committed turn still awaits its text."""
        return bool(self._committed)

    def write(self, text: str) -> None:
        """Takes a typed text.

        Raises:
            InputError: too much text is waiting for an answer.
        """
        check_waiting([*self._typed, text])
        self._typed.append(text)

    def commit(self, turn: TurnRecognition) -> None:
        """Takes a turn whose audio is complete and whose text may still be pending.

        Raises:
            InputError: the recogniser is too far behind.
        """
        if len(self._committed) >= _MAX_COMMITTED:
            raise InputError(
                f"{_MAX_COMMITTED} turns are already queued for recognition; wait for their "
                "transcripts"
            )
        self._committed.append(turn)

    def take_typed(self) -> str:
        """The typed texts joined, or ""."""
        text, self._typed = " ".join(self._typed), []
        return text

    def take_recognised(self) -> TurnRecognition | None:
        """The oldest committed turn, if its text is available."""
        if self._committed and self._committed[0].recognised:
            return self._committed.popleft()
        return None

    def clear(self) -> list[int]:
        """Clears everything and cancels recognition; returns the numbers of its turns."""
        numbers = [turn.number for turn in self._committed]
        for turn in self._committed:
            turn.abort()
        self._committed.clear()
        self._typed.clear()
        self.requested = None
        return numbers


def check_waiting(texts: Sequence[str]) -> None:
    """Raises InputError if these texts exceed the limit of one answer."""
    if len(texts) > _MAX_TYPED_ITEMS:
        raise InputError(
            f"{_MAX_TYPED_ITEMS} messages are already waiting for an answer; request one first"
        )
    length = sum(len(one) + 1 for one in texts) - 1
    if length > MAX_TURN:
        raise InputError(
            f"unanswered messages would have {length} characters in total; at most {MAX_TURN} are "
            "answered at once: request an answer first"
        )
