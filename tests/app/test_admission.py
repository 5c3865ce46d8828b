"""Places for requests: nobody loses one, and nobody keeps one after leaving."""

import asyncio

import pytest

from app.api.admission import Admission, AdmissionSettings


async def hold(admission: Admission, ended: asyncio.Event) -> None:
    async with admission.place():
        await ended.wait()


def test_who_leaves_as_the_place_comes_does_not_take_it() -> None:
    """The cancellation and the place arrive in one turn of the loop."""

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
