"""The items of a conversation as one client knows them: by name, in an order."""

import re
import secrets

_MOST_NAMES = 2000  # that the client gave; the oldest are forgotten, as the history forgets


class KnownItems:
    """Entries of the history have numbers, items have names: the server's, or the client's own.

    Attributes:
        prefix: of the server's names in this session, so that none is one that a client brings from
            another.
    """

    def __init__(self) -> None:
        self.prefix = secrets.token_hex(4)
        self._ours = re.compile(rf"item_{self.prefix}_(\d{{1,9}})")
        self._names: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._order: list[int] = []
        self._shown: set[int] = set()

    def call(self, number: int, name: str | None) -> None:
        """The client gave the entry of this number a name of its own."""
        if name is not None:
            self._names[number], self._numbers[name] = name, number
            if len(self._names) > _MOST_NAMES:
                self._numbers.pop(self._names.pop(next(iter(self._names))))

    def name(self, number: int) -> str:
        """The name of an entry."""
        return self._names.get(number) or f"item_{self.prefix}_{number}"

    def number(self, name: str) -> int | None:
        """The number of an item; None if its name is nobody's."""
        ours = self._ours.fullmatch(name)
        return int(ours[1]) if ours else self._numbers.get(name)

    def reserve(self, number: int, after: int | None = None) -> None:
        """An entry has its place, behind that of the number `after` or behind all; the client does
        not know of it yet."""
        self.drop(number)
        if after is None:
            self._order.append(number)
        else:
            at = self._order.index(after) + 1 if after in self._order else 0
            self._order.insert(at, number)

    def show(self, number: int) -> str | None:
        """The client is told of an entry now; the name of the item before it."""
        if number not in self._order:
            self.reserve(number)
        self._shown.add(number)
        before = self._order[: self._order.index(number)]
        return next((self.name(one) for one in reversed(before) if one in self._shown), None)

    def drop(self, number: int) -> bool:
        """There is no such entry any more; whether the client knew of it."""
        if number in self._order:
            self._order.remove(number)
        was_shown = number in self._shown
        self._shown.discard(number)
        return was_shown
