"""A reply generated in a thread for one listener of the event loop, cancelled when it leaves."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from models.pipe import AbandonedError

T = TypeVar("T")

logger = logging.getLogger(__name__)

_AHEAD = 16  # pieces buffered for a slow listener


class Cancellable(Protocol):
    """Cancellable work: a reply, or a recognition."""

    def cancel(self) -> None: ...


class Production(Generic[T]):
    """Runs `make` in its own thread; the loop takes its pieces with `next`.

    Args:
        make: yields the pieces to send. It receives this production, must `hold` the reply that it
            starts, and must `check` between long steps.
    """

    def __init__(self, make: "Callable[[Production[T]], Iterator[T]]") -> None:
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[T | BaseException | None] = asyncio.Queue()
        self._room = threading.Semaphore(_AHEAD)
        self._left = threading.Event()
        self._reply: Cancellable | None = None
        threading.Thread(target=self._run, daemon=True, name="production").start()

    def hold(self, reply: Cancellable) -> None:
        """Registers work to cancel when the listener leaves.

        Raises:
            AbandonedError: it has already left.
        """
        self._reply = reply
        self.check()

    def left(self) -> bool:
        """Whether the listener has left."""
        return self._left.is_set()

    def check(self) -> None:
        """Raises AbandonedError if the listener has left."""
        if self.left():
            raise AbandonedError

    def leave(self) -> None:
        """Cancels the work. Never blocks; idempotent."""
        self._left.set()
        self._room.release()
        reply = self._reply
        if reply is not None:
            reply.cancel()

    async def next(self) -> T | None:
        """The next piece, or None after the last; raises what `make` raised."""
        piece = await self._pieces.get()
        self._room.release()
        if isinstance(piece, BaseException):
            raise piece
        return piece

    def _run(self) -> None:
        try:
            for piece in self._make(self):
                self._give(piece)
            self._give(None)
        except AbandonedError:
            pass
        except Exception as error:
            self._hand_over(error)
        finally:
            if self._reply is not None:
                self._reply.cancel()

    def _give(self, piece: T | None) -> None:
        self._room.acquire()
        self.check()
        self._hand_over(piece)

    def _hand_over(self, piece: T | Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
        except RuntimeError:  # the loop is closed
            raise AbandonedError from None
