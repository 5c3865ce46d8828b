"""Realtime conversations over WebRTC, with a real client on a real socket."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import numpy as np
import pytest

from app.active_reply import AudioChunk
from app.api.call_audio import AgentTrack
from app.hub import HubSettings
from app.server import ServerSettings
from tests.app.caller import Caller
from tests.app.live import engines, serving
from tests.app.user_sound import silence, speechlike

CANDIDATE = "a=candidate:1 1 udp 1 127.0.0.1"
LONG = "one two three four five six seven eight nine ten " * 4


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """ICE leaves the loopback address out, and a test machine may have no other."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])


class Says:
    name = "built-in"

    def reply(self, history: Any) -> Any:
        yield LONG


@contextlib.asynccontextmanager
async def calling(place: str, **options: Any) -> AsyncIterator[Caller]:
    caller = Caller()
    try:
        await caller.call(place, **options)
        await caller.until("session.created")
        yield caller
    finally:
        await caller.peer.close()


def workers() -> list[str]:
    """Threads besides the pools that event loops and resolvers keep."""
    names = (thread.name for thread in threading.enumerate())
    return sorted(name for name in names if not name.startswith(("asyncio_", "AnyIO")))


def ran(work: Callable[[str, Any], Coroutine[Any, Any, None]], *texts: str, **changes: Any) -> None:
    with serving(engines(*texts, **changes)) as (place, app):
        asyncio.run(work(place, app))


def test_a_spoken_turn_is_recognised_and_answered_in_speech() -> None:
    async def work(place: str, app: Any) -> None:
        async with calling(place) as caller:
            caller.microphone.samples = np.concatenate([silence(0.5), speechlike(1.0)])
            await caller.until("input_audio_buffer.speech_started")
            await caller.until("conversation.item.input_audio_transcription.completed")
            await caller.until("output_audio_buffer.started")
            await caller.hears(lambda loudness: loudness > 0.02)
            if not any(event["type"] == "response.done" for event in caller.events):
                await caller.until("response.done")
            stopped = await caller.until("output_audio_buffer.stopped")
            done = next(e for e in caller.events if e["type"] == "response.done")["response"]
            assert done["status"] == "completed" and stopped["response_id"] == done["id"]
            spoken = done["output"][0]["content"][0]["transcript"]
            assert spoken == "Nice to meet you, Anna. How are you today?"
            assert not any("audio.delta" in event["type"] for event in caller.events)
            await caller.hears(lambda loudness: loudness < 1e-3)

    ran(work, "my name is anna")


def test_an_interrupted_answer_stops_and_is_truncated_there() -> None:
    async def work(place: str, app: Any) -> None:
        async with calling(place) as caller:
            type_in(caller, "count")
            await caller.until("output_audio_buffer.started")
            await asyncio.sleep(1.5)
            caller.send("output_audio_buffer.clear")
            await caller.until("output_audio_buffer.cleared")
            cut = await caller.until("conversation.item.truncated")
            assert 500 < cut["audio_end_ms"] < 7_000  # of 8 s
            await caller.hears(lambda loudness: loudness < 1e-3)

    ran(work, responders={"told": Says()})


def type_in(caller: Caller, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item = {"type": "message", "role": "user", "content": content}
    caller.send("conversation.item.create", item=item)
    caller.send("response.create")


def test_a_track_ducks_pauses_plays_on_and_stops() -> None:
    """By the position that it reports and the loudness of its frames; one reply after the other."""
    reports: list[tuple[int, int, bool, bool]] = []
    told: list[tuple[str, int]] = []
    track = AgentTrack(lambda *report: reports.append(report), lambda *what: told.append(what))

    async def frames(count: int) -> np.ndarray:
        """Peak of each frame, 0 to 1."""
        pcm = [(await track.recv()).to_ndarray()[0] for _ in range(count)]
        return np.abs(np.stack(pcm)).max(axis=1) / 32767

    async def work() -> None:
        assert not (await frames(2)).any()
        for reply in (1, 2):
            track.follow(AudioChunk(reply, 0, np.full(480 * 30, 0.5, np.float32)))
            track.follow({"type": "reply.sent", "reply": reply})
        assert np.allclose(await frames(3), 0.5, atol=1e-3)
        track.follow({"type": "duck", "reply": 1, "gain": 0.2})
        assert np.allclose((await frames(3))[1:], 0.1, atol=1e-3)
        track.follow({"type": "duck", "reply": 1, "gain": 0})
        assert not (await frames(20))[1:].any()
        track.follow({"type": "restore", "reply": 1})
        assert np.allclose((await frames(5))[1:], 0.5, atol=1e-3)
        track.follow({"type": "stop", "reply": 1, "fade_ms": 20})
        assert reports[-1] == (1, 480 * 13, False, True)  # 3, 3, 1 fading, 5, 1 fading
        assert np.allclose((await frames(31))[2:], 0.5, atol=1e-3)

    asyncio.run(work())
    assert reports[-1] == (2, 480 * 30, True, False)
    assert told == [("started", 1), ("cleared", 1), ("started", 2), ("stopped", 2)]


def test_settings_come_with_the_offer_or_with_a_client_secret() -> None:
    async def work(place: str, app: Any) -> None:
        session = {"type": "realtime", "audio": {"output": {"voice": "kal"}}}
        url = f"http://{place}/v1/realtime/client_secrets"
        made = httpx.post(url, json={"session": session}, trust_env=False).json()
        key = {"Authorization": f"Bearer {made['value']}"}
        for way in ("form", "file", "secret"):
            caller = Caller()
            offer = await caller.offer()
            parts = {"sdp": offer, "session": json.dumps(session)}
            if way == "form":
                given: dict[str, Any] = {"files": {k: (None, v) for k, v in parts.items()}}
            elif way == "file":
                given = {"files": {k: (f"{k}.txt", v) for k, v in parts.items()}}
            else:
                headers = {"Content-Type": "application/sdp", **key}
                given = {"content": offer, "headers": headers}
            await caller.call(place, **given)
            created = await caller.until("session.created")
            assert created["session"]["audio"]["output"]["voice"] == "kal", way
            await caller.peer.close()

    ran(work)


def test_what_is_no_offer_is_refused() -> None:
    async def work(place: str, app: Any) -> None:
        caller = Caller()
        good = await caller.offer()
        unsigned = good.replace("a=fingerprint", "a=thumbprint")
        await caller.peer.close()
        sdp = {"Content-Type": "application/sdp"}
        cases: list[tuple[int, str, dict[str, Any]]] = [
            (400, "not nothing", {"content": "", "headers": sdp}),
            (400, "not nothing", {"content": b"\xff\x00\xfe", "headers": sdp}),
            (400, "a data channel", {"content": good.split("m=application")[0], "headers": sdp}),
            (400, "a data channel", {"content": good + "m=video 9 RTP/AVP 96\r\n", "headers": sdp}),
            (
                400,
                "not valid",
                {"content": unsigned, "headers": sdp},
            ),
            (400, "not valid", {"content": "m=audio x\r\nm=application\r\n", "headers": sdp}),
            (
                400,
                "ICE candidates",
                {"content": good + f"{CANDIDATE} 9 typ host\r\n" * 50, "headers": sdp},
            ),
            (400, "'99999'", {"content": good + f"{CANDIDATE} 99999 typ host\r\n", "headers": sdp}),
            (400, "'-5'", {"content": good + f"{CANDIDATE} -5 typ host\r\n", "headers": sdp}),
            (400, "no port", {"content": good + "a=candidate:1\r\n", "headers": sdp}),
            (400, "more than", {"content": good + "a=x\r\n" * 30_000, "headers": sdp}),
            (415, "application/sdp", {"content": good}),
            (415, "application/sdp", {"json": {"sdp": good}}),
            (400, "session", {"files": {"sdp": (None, good), "session": (None, "[")}}),
            (400, "voice", {"files": {"sdp": (None, good), "session": (None, '{"voice": "x"}')}}),
        ]
        async with httpx.AsyncClient(trust_env=False) as http:
            for status, words, given in cases:
                answer = await http.post(f"http://{place}/v1/realtime/calls", **given)
                assert answer.status_code == status, (words, answer.text)
                assert words in answer.json()["error"]["message"], answer.text
            gone = await http.post(f"http://{place}/v1/realtime/calls/rtc_x/hangup")
            assert gone.status_code == 404

    ran(work)


@pytest.mark.parametrize("by", ["client", "server"])
def test_a_call_that_ends_leaves_nothing(by: str) -> None:
    async def work(place: str, app: Any) -> None:
        before = workers()
        caller = Caller()
        answer = await caller.call(place)
        await caller.until("session.created")
        assert app.state.hub.num_live == 1
        if by == "client":
            await caller.peer.close()
        else:
            url = f"http://{place}{answer.headers['location']}/hangup"
            async with httpx.AsyncClient(trust_env=False) as http:
                assert (await http.post(url)).status_code == 200
                assert (await http.post(url)).status_code == 404
        until = time.monotonic() + 10
        while app.state.hub.num_live and time.monotonic() < until:
            await asyncio.sleep(0.05)
        assert not app.state.hub.num_live
        await caller.peer.close()
        await asyncio.sleep(0.5)
        assert workers() == before

    ran(work)


def test_a_call_that_never_connects_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.calls._CONNECT_S", 0.3)

    async def work(place: str) -> None:
        for _ in range(3):  # of one session at a time
            caller = Caller()
            offer = await caller.offer()
            await caller.peer.close()
            headers = {"Content-Type": "application/sdp"}
            async with httpx.AsyncClient(trust_env=False) as http:
                url = f"http://{place}/v1/realtime/calls"
                answer = await http.post(url, content=offer, headers=headers)
                assert answer.status_code == 201
                assert answer.headers["x-synthetic-speech"]
                assert (await http.post(url, content=offer, headers=headers)).status_code == 429
            await asyncio.sleep(1.5)
            assert workers() == before

    with serving(engines(), ServerSettings(hub=HubSettings(max_sessions=1), page=False)) as (at, _):
        before = workers()
        asyncio.run(work(at))


def test_calls_beyond_the_session_limit_are_refused() -> None:
    async def work(place: str) -> None:
        async with calling(place):
            caller = Caller()
            headers = {"Content-Type": "application/sdp"}
            async with httpx.AsyncClient(trust_env=False) as http:
                url = f"http://{place}/v1/realtime/calls"
                answer = await http.post(url, content=await caller.offer(), headers=headers)
            assert answer.status_code == 429 and answer.headers["retry-after"] == "60"
            await caller.peer.close()

    settings = ServerSettings(hub=HubSettings(max_sessions=1), page=False)
    with serving(engines(), settings) as (place, _):
        asyncio.run(work(place))


def test_a_websocket_has_no_output_buffer() -> None:
    from tests.app.test_realtime import talking

    with talking() as (client, _):
        client.until("session.created")
        client.send("output_audio_buffer.clear")
        assert "WebRTC" in client.until("error")["error"]["message"]
