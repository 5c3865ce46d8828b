"""Text that arrives in pieces, read in its own thread because its producer may block."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from models.pipe import ClosedError

T = TypeVar("T")


class TextFeed(Generic[T]):
    """A non-blocking iterator over the items cut from pieces of text.

    It yields None while the next item is not ready; `ready` becomes true when it is. Errors in
    the reading thread are raised by the iteration.
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces: Iterable[str] | None = pieces
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._over = False

    def start(self, cut: Callable[[Iterable[str]], Iterator[T]], wake: Callable[[], None]) -> None:
        """Starts the reading thread.

        Args:
            cut: turns pieces into items; a ClosedError stops the reading.
            wake: called after each item and at the end.
        """
        pieces, self._pieces = self._pieces, None
        assert pieces is not None
        args = (cut, pieces, wake)
        threading.Thread(target=self._read, args=args, daemon=True, name="text").start()

    @property
    def ready(self) -> bool:
        """Whether the next iteration yields an item, raises or ends."""
        return self._over or bool(self._items)

    def __iter__(self) -> Iterator[T | None]:
        while True:
            over = self._over  # read first: the last item is queued before this is set
            while self._items:
                yield self._items.popleft()
            if self._error is not None:
                raise self._error
            if over:
                return
            if not self._over:
                yield None

    def _read(
        self,
        cut: Callable[[Iterable[str]], Iterator[T]],
        pieces: Iterable[str],
        wake: Callable[[], None],
    ) -> None:
        try:
            for item in cut(pieces):
                self._items.append(item)
                wake()
        except ClosedError:
            pass
        except BaseException as error:
            self._error = error
        self._over = True
        wake()
