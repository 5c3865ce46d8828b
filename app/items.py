"""A client's edits of a conversation: inserting, deleting and truncating entries, and out-of-band
answers."""

from collections.abc import Callable, Sequence

import numpy as np

from app.agent_turns import AgentTurns
from app.history import AGENT, USER, DialogueHistory, Entry, Note, Place, TurnRecord
from app.inbox import check_waiting
from app.replies import ChatMessage
from app.settings import SessionSettings
from app.user_turns import UserTurns
from data.audio import SAMPLE_RATE
from data.errors import InputError


class Items:
    """Args:
    history: the conversation's history.
    agent, user: the conversation's two sides, which are notified.
    clock: monotonic seconds.
    """

    def __init__(
        self,
        history: DialogueHistory,
        agent: AgentTurns,
        user: UserTurns,
        clock: Callable[[], float],
    ) -> None:
        self._history, self._agent, self._user, self._clock = history, agent, user, clock

    def place(self, entry: TurnRecord | Note, after: int | None = None) -> None:
        """Inserts a text turn or a note after the entry with a number, by default at the end.

        Raises:
            InputError: there is no such entry, or too much text is waiting for an answer.
        """
        if isinstance(entry, TurnRecord) and entry.who == USER:
            waiting = [one for one in self._history.waiting if isinstance(one, TurnRecord)]
            check_waiting([*(one.text for one in waiting if one.typed), entry.text])
        self._history.place(entry, after)
        if not isinstance(entry, TurnRecord):
            return
        # else the current answer would enter the context after this turn
        if self._agent.leave_off() and self._is_last_turn(entry):
            self._agent.add_turn(entry.who, entry.text, None)
        else:
            self._agent.forget()

    def _is_last_turn(self, entry: Entry) -> bool:
        """Whether no turn or placeholder comes after it."""
        spoken = [one for one in self._history.entries if isinstance(one, (TurnRecord, Place))]
        return spoken[-1] is entry

    def place_sound(self, samples: np.ndarray, after: int | None = None) -> int:
        """Inserts a spoken user turn, samples [n], which is transcribed.

        Returns:
            Its number.

        Raises:
            InputError: as `place`, or the audio is empty or too long.
        """
        number = self._history.number()
        self._history.place(Place(number, USER), after)
        try:
            self._user.take_sound(samples, number, self._clock())
        except InputError:
            self._history.release(number)
            raise
        if after is not None:
            self._agent.forget()
        return number

    def find(self, number: int) -> Entry | None:
        """The entry with that number."""
        return next((one for one in self._history.entries if one.number == number), None)

    def delete(self, number: int) -> None:
        """Deletes an entry of the conversation.

        Raises:
            InputError: there is none, or it is not complete yet.
        """
        entry = self.find(number)
        if isinstance(entry, Place):
            raise InputError("that item is not complete yet; delete it when it is")
        self._history.remove(number)
        if isinstance(entry, TurnRecord):
            self._agent.forget()

    def truncate(self, number: int, played: int) -> TurnRecord | None:
        """Truncates an agent turn to the number of samples that the listener played.

        Returns:
            The turn; None if it is still being spoken and will be reported when it ends.

        Raises:
            InputError: there is no such turn, or it is shorter.
        """
        active = self._agent.active
        if active is not None and active.turn == number:
            reply = active.answer.number
            self._agent.stop("truncated")
            self._agent.report(reply, played, finished=False, stopped=True)
            return None
        record = self._history.find(number)
        if record is None or record.who != AGENT or not record.seconds:
            raise InputError("there is no such item of the assistant with sound")
        if played > record.seconds * SAMPLE_RATE + 1 and not record.cut:
            raise InputError(f"that item has {1000 * record.seconds:.0f} ms of sound")
        self._history.heard_until(number, played / SAMPLE_RATE)
        self._agent.forget()
        return record

    def answer_out_of_band(
        self, settings: SessionSettings, history: Sequence[ChatMessage] | None = None
    ) -> int:
        """Requests an out-of-band answer.

        Args:
            settings: the answer's settings.
            history: the history to answer; None: the current conversation.

        Returns:
            The number of the reply.

        Raises:
            InputError: there is nothing to answer, or there are too many at once.
        """
        selector = self._agent.selector
        messages = (
            self._agent.context_for(selector.responder(settings)) if history is None else history
        )
        if not messages and not selector.can_begin(settings):
            raise InputError("there is nothing to answer; give input, create an item, or speak")
        return self._agent.answer_out_of_band(settings, messages)

    def cancel_aside(self, reply: int) -> bool:
        """Cancels an out-of-band answer; returns whether there was one with that number."""
        return self._agent.out_of_band.cancel(reply)
