"""A queue between two threads that can be closed at once from anywhere."""

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class ClosedError(Exception):
    """The pipe was closed; nothing more can be got."""


class AbandonedError(Exception):
    """Work was dropped because nobody needs its result any more."""


class Pipe(Generic[T]):
    """Passes items in order from one thread to another."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        # Reentrant: `close` may run inside `put` or `get`, from the garbage collector.
        self._changed = threading.Condition(threading.RLock())
        self._ended = self._closed = False

    def put(self, item: T) -> None:
        """Adds an item; does nothing once the pipe is closed."""
        with self._changed:
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()

    def get(self) -> T | None:
        """Waits for the next item and takes it; None after the last.

        Raises:
            ClosedError: the pipe was closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._ended or bool(self._items))
            if self._closed:
                raise ClosedError
            if not self._items:
                return None
            return self._items.popleft()

    def end(self) -> None:
        """Marks the end; queued items can still be taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Drops queued items and wakes waiting threads. Never blocks; may be called again."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()
