"""Admission control: at most as many concurrent replies as the machine speaks in real time."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.api.errors import ApiError
from app.api.response_headers import RETRY_AFTER

_REPLIES_A_CORE = 1.5  # the bundled models speak one in about a third of real time, on two cores


@dataclass(frozen=True)
class AdmissionSettings:
    """Concurrency limits.

    Attributes:
        places: concurrent requests; None: as many as the CPU cores speak in real time.
        queue: maximum number of waiting requests.
        wait_s: maximum wait before a request is refused.
    """

    places: int | None = None
    queue: int = 8
    wait_s: float = 10.0

    @property
    def num_places(self) -> int:
        return self.places or max(2, round(_REPLIES_A_CORE * (os.cpu_count() or 1)))


class Admission:
    """A FIFO semaphore with a bounded queue. Used only from the server's loop."""

    def __init__(self, settings: AdmissionSettings, what: str = "replies are being spoken") -> None:
        self._settings, self._what = settings, what
        self._places = asyncio.Semaphore(settings.num_places)
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Holds a place inside the block, after waiting for one.

        Raises:
            ApiError: 429 with `Retry-After`; the queue is full or the wait was too long.
        """
        if self._places.locked() and self._waiting >= self._settings.queue:
            raise self._busy()
        self._waiting += 1
        try:
            # Not wait_for: in Python 3.11 it loses a cancellation that coincides with the result.
            async with asyncio.timeout(self._settings.wait_s):
                await self._places.acquire()
        except TimeoutError:
            raise self._busy() from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    def _busy(self) -> ApiError:
        return ApiError(
            f"{self._settings.num_places} {self._what}, the maximum for this machine; try again in "
            "a few seconds",
            status=429,
            code="rate_limit_exceeded",
            headers={RETRY_AFTER: str(max(1, round(self._settings.wait_s / 2)))},
        )
