"""Concurrency limits: no place is lost, and none is kept after a client leaves."""

import asyncio

import pytest

from app.api.admission import Admission, AdmissionSettings


async def hold(admission: Admission, ended: asyncio.Event) -> None:
    async with admission.place():
        await ended.wait()


def test_a_place_granted_during_cancellation_is_returned() -> None:
    """Cancellation and place arrive in the same iteration of the event loop."""

    async def scene() -> None:
        admission, ended = Admission(AdmissionSettings(places=1)), asyncio.Event()
        first = asyncio.create_task(hold(admission, ended))
        await asyncio.sleep(0)
        second = asyncio.create_task(hold(admission, asyncio.Event()))
        await asyncio.sleep(0.01)
        ended.set()
        await first
        await asyncio.sleep(0)  # the place has been given, and the second has not yet run
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(second), 5)
        assert second.cancelled()
        async with asyncio.timeout(5), admission.place():
            pass

    asyncio.run(scene())
