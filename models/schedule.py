"""Whose work comes first when many replies share few cores: what is due the soonest.

Earliest deadline first (Liu and Layland 1973, section 7), one predicted frame or one decoded chunk
at a time. Left to the operating system, a reply that is seconds ahead of its listener takes the
core from one whose listener is about to run out.
"""

import heapq
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK_S = 0.05  # how often a waiting thread asks whether its work is still wanted


class UnwantedError(Exception):
    """The work was called off while it waited for a slot."""


class Schedule:
    """Lets `slots` pieces of work run at once, those that are due the soonest first.

    Args:
        slots: None for as many as there are cores.
    """

    def __init__(self, slots: int | None = None) -> None:
        self._free = slots or (os.cpu_count() or 1)
        self._lock = threading.Lock()
        self._waiting: list[tuple[float, int, threading.Lock]] = []
        self._count = itertools.count()

    @contextmanager
    def work(self, due: float, unwanted: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Waits for a slot, and holds it inside. Not to be nested.

        Args:
            due: `time.perf_counter` at which a listener needs the result.
            unwanted: whether nobody waits for the result any more.

        Raises:
            UnwantedError: `unwanted` became true before there was a slot.
        """
        self._enter(due, unwanted)
        try:
            yield
        finally:
            self._leave()

    def _enter(self, due: float, unwanted: Callable[[], bool]) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            entry = (due, next(self._count), turn)
            heapq.heappush(self._waiting, entry)
        while not turn.acquire(timeout=_LOOK_S):  # whoever leaves hands over the slot
            if unwanted():
                self._withdraw(entry)
                raise UnwantedError

    def _withdraw(self, entry: tuple[float, int, threading.Lock]) -> None:
        with self._lock:
            if entry in self._waiting:
                self._waiting.remove(entry)
                heapq.heapify(self._waiting)
                return
        self._leave()  # it was given a slot just now

    def _leave(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].release()
            else:
                self._free += 1
