"""A bounded queue between two threads that can be closed from anywhere, at once."""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class ClosedError(Exception):
    """The pipe was closed: whoever puts or gets has nothing left to do."""


class Pipe(Generic[T]):
    """Items in order from one thread to another, at most `limit` of them waiting."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: deque[T] = deque()
        # Reentrant: `close` may run inside `put` or `get`, from the garbage collector.
        self._changed = threading.Condition(threading.RLock())
        self._ended = self._closed = False

    def put(self, item: T) -> None:
        """Adds an item; waits while the pipe is full.

        Raises:
            ClosedError: nobody wants it any more.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._items) < self._limit)
            if self._closed:
                raise ClosedError
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
            item = self._items.popleft()
            self._changed.notify_all()
            return item

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
