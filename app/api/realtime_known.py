"""The items of a conversation known to one client, by id and in order."""

import re
import secrets

_MOST_NAMES = 2000  # ids given by the client; the oldest are dropped, as in the history


class KnownItems:
    """Maps the numbers of history entries to item ids, chosen by the server or the client.

    Attributes:
        prefix: prefix of the server's ids, unique to this session, so that they cannot collide
            with ids that a client keeps from another session.
    """

    def __init__(self) -> None:
        self.prefix = secrets.token_hex(4)
        self._ours = re.compile(rf"item_{self.prefix}_(\d{{1,9}})")
        self._names: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._order: list[int] = []
        self._shown: set[int] = set()

    def call(self, number: int, name: str | None) -> None:
        """Sets the client's id of an entry."""
        if name is not None:
            self._names[number], self._numbers[name] = name, number
            if len(self._names) > _MOST_NAMES:
                self._numbers.pop(self._names.pop(next(iter(self._names))))

    def name(self, number: int) -> str:
        """The id of an entry."""
        return self._names.get(number) or f"item_{self.prefix}_{number}"

    def number(self, name: str) -> int | None:
        """The number of an item; None if the id is unknown."""
        ours = self._ours.fullmatch(name)
        return int(ours[1]) if ours else self._numbers.get(name)

    def reserve(self, number: int, after: int | None = None) -> None:
        """Adds an entry after that of the number `after`, or at the end; the client does not know
        it yet."""
        self.drop(number)
        if after is None:
            self._order.append(number)
        else:
            at = self._order.index(after) + 1 if after in self._order else 0
            self._order.insert(at, number)

    def show(self, number: int) -> str | None:
        """Marks an entry as known to the client; returns the id of the item before it."""
        if number not in self._order:
            self.reserve(number)
        self._shown.add(number)
        before = self._order[: self._order.index(number)]
        return next((self.name(one) for one in reversed(before) if one in self._shown), None)

    def drop(self, number: int) -> bool:
        """Removes an entry; returns whether the client knew it."""
        if number in self._order:
            self._order.remove(number)
        was_shown = number in self._shown
        self._shown.discard(number)
        return was_shown
