"""A queue between two threads that can be closed from anywhere, at once."""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class ClosedError(Exception):
    """The pipe was closed: there is nothing left to get."""


class UnwantedError(Exception):
    """Work was called off before it was done."""


class Pipe(Generic[T]):
    """Items in order from one thread to another."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        # Reentrant: `close` may run inside `put` or `get`, from the garbage collector.
        self._changed = threading.Condition(threading.RLock())
        self._ended = self._closed = False

    def put(self, item: T) -> None:
        """Adds an item, unless nobody wants it any more."""
        with self._changed:
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()

    def get(self) -> T | None:
        """Takes the next item; waits for it. None after the last.

        Raises:
            ClosedError: there is nothing to wait for any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._ended or bool(self._items))
            if self._closed:
                raise ClosedError
            if not self._items:
                return None
            return self._items.popleft()

    def end(self) -> None:
        """No more items will be put; those that wait can still be taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Drops what waits and wakes whoever waits. Never waits itself; may be called again."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
