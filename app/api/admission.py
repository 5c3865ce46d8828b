"""How many requests are worked on at once: replies no more than the machine speaks in real time."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.api.errors import ApiError

_REPLIES_A_CORE = 1.5  # the bundled models speak one in about a third of real time, on two cores


@dataclass(frozen=True)
class AdmissionSettings:
    """Limits of work that is done for a request.

    Attributes:
        places: requests at once; None takes as many as the processor's cores speak in real time.
        queue: requests that may wait for a place.
        wait_s: how long they wait before they are refused.
    """

    places: int | None = None
    queue: int = 8
    wait_s: float = 10.0

    @property
    def num_places(self) -> int:
        return self.places or max(2, round(_REPLIES_A_CORE * (os.cpu_count() or 1)))


class Admission:
    """Gives places to requests, first come, first served. Used from the server's loop only."""

    def __init__(self, settings: AdmissionSettings, what: str = "replies are being spoken") -> None:
        self._settings, self._what = settings, what
        self._places = asyncio.Semaphore(settings.num_places)
        self._waiting = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Waits for a place, and holds it inside.

        Raises:
            ApiError: 429 with `Retry-After`, since too many wait or this one has waited too long.
        """
        if self._places.locked() and self._waiting >= self._settings.queue:
            raise self._busy()
        self._waiting += 1
        try:
            # Not wait_for: Python 3.11's forgets a cancellation that comes together with the place.
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
            f"{self._settings.num_places} {self._what}, as many as this machine can at once; try "
            "again in a few seconds",
            status=429,
            code="rate_limit_exceeded",
            headers={"Retry-After": str(max(1, round(self._settings.wait_s / 2)))},
        )
