"""Text that somebody is still writing, read in a thread of its own: they may take long over it."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from models.pipe import ClosedError

T = TypeVar("T")


class Awaited(Generic[T]):
    """Pieces of text and what is made of them, as an iterator that never waits.

    It yields None where the next item is not there yet; `there` tells when to go on. What raises
    in the thread is raised by the iteration.
    """

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces: Iterable[str] | None = pieces
        self._items: deque[T] = deque()
        self._error: BaseException | None = None
        self._over = False

    def start(self, cut: Callable[[Iterable[str]], Iterator[T]], wake: Callable[[], None]) -> None:
        """Begins to read.

        Args:
            cut: makes items of pieces; ends the reading by a ClosedError.
            wake: called when there is more.
        """
        pieces, self._pieces = self._pieces, None
        assert pieces is not None
        args = (cut, pieces, wake)
        threading.Thread(target=self._read, args=args, daemon=True, name="text").start()

    @property
    def there(self) -> bool:
        """Whether the iteration has something to yield, to raise or to end with."""
        return self._over or bool(self._items)

    def __iter__(self) -> Iterator[T | None]:
        while True:
            over = self._over  # before the items: the last one comes before the end
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
