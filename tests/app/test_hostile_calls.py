"""Clients of `/v1/realtime/calls` that mean no good."""

import asyncio
import logging
import os
from typing import Any

import httpx
import pytest
from aiortc.codecs.opus import OpusEncoder

from app.api.calls import DataChannelSocket
from app.hub import HubSettings
from app.logs import log_to_stderr
from app.server import ServerSettings
from app.websocket import MAX_REALTIME_BYTES
from tests.app.live import engines, serving
from tests.app.test_calls import Caller, calling, on_loopback, ran

pytestmark = pytest.mark.usefixtures(on_loopback.__name__)


def test_calls_that_begin_together_are_counted() -> None:
    """All that came while the first was being answered were accepted."""

    async def work(place: str) -> None:
        caller = Caller()
        offer = await caller.offer()
        async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
            url, headers = f"http://{place}/v1/realtime/calls", {"Content-Type": "application/sdp"}
            asking = (http.post(url, content=offer, headers=headers) for _ in range(12))
            answers = await asyncio.gather(*asking)
            accepted = [one.headers["location"] for one in answers if one.status_code == 201]
            assert len(accepted) == 2
            for name in accepted:
                assert (await http.post(f"http://{place}{name}/hangup")).status_code == 200
        await caller.peer.close()

    settings = ServerSettings(hub=HubSettings(max_sessions=2), page=False)
    with serving(engines(), settings) as (place, _):
        asyncio.run(work(place))


def test_a_second_data_channel_does_not_take_the_events() -> None:
    async def work(place: str, app: Any) -> None:
        async with calling(place) as caller:
            second = caller.peer.createDataChannel("another")
            async with asyncio.timeout(10):
                while second.readyState != "closed":
                    await asyncio.sleep(0.02)
            caller.send("session.update", session={"voice": "kal"})
            updated = await caller.until("session.updated")
            assert updated["session"]["audio"]["output"]["voice"] == "kal"

    ran(work)


def test_a_message_that_no_websocket_may_send_ends_the_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = 1 << 17  # aiortc needs ten seconds of a core for the real 4 MB

    async def work(place: str, app: Any) -> None:
        async with calling(place) as caller:
            caller.peer.sctp._remote_max_message_size = 0  # as a client that does not care
            caller.data.send("x" * (limit + 1))
            async with asyncio.timeout(60):
                while app.state.hub.num_live:
                    await asyncio.sleep(0.05)

    monkeypatch.setattr("app.api.calls.MAX_REALTIME_BYTES", limit)
    ran(work)


def test_what_a_session_does_not_read_is_limited() -> None:
    async def work() -> None:
        socket = DataChannelSocket()
        for _ in range(5):
            socket._take("x" * MAX_REALTIME_BYTES)
        kinds = [(await socket.receive())["type"] for _ in range(5)]
        assert kinds == ["websocket.receive"] * 4 + ["websocket.disconnect"]

    asyncio.run(work())


def test_sound_that_is_garbage_ends_nothing_and_does_not_flood_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each packet was a line in the log, 50 a second."""
    encode = OpusEncoder.encode

    def garbage(self: OpusEncoder, frame: Any, force_keyframe: bool = False) -> Any:
        packets, timestamp = encode(self, frame, force_keyframe)
        return [os.urandom(3) for _ in packets], timestamp

    async def work(place: str, app: Any) -> None:
        async with calling(place) as caller:
            await asyncio.sleep(1.5)
            caller.send("session.update", session={"voice": "kal"})
            await caller.until("session.updated")

    monkeypatch.setattr(OpusEncoder, "encode", garbage)
    before = logging.getLogger().handlers[:]
    log_to_stderr(as_json=False)
    try:
        ran(work)
    finally:
        logging.getLogger().handlers[:] = before
    assert capsys.readouterr().err.count("\n") < 25
