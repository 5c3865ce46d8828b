"""The server over real sockets, with the fake speaker."""

import base64
import contextlib
import io
import json
import socket as socketlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from app.hub import HubSettings
from app.library import Library
from app.protocol import parse_audio_chunk
from app.server import ServerSettings
from data.audio import mark_of, read_audio, write_audio
from data.audio.marking import SYNTHETIC
from tests.app.fake_speaker import FakeSpeaker
from tests.app.live import engines, serving
from tests.app.user_sound import silence, speechlike
from tests.app.voice_sound import espeak_voice

START = {"type": "start", "protocol": 1, "sample_rate": 24_000}


@contextlib.contextmanager
def opened(place: str, **start: Any) -> Iterator[tuple[ClientConnection, dict[str, Any]]]:
    # reads ahead without limit: what is unread would delay closing by 10 s
    with connect(f"ws://{place}/v1/conversation", max_queue=None) as socket:
        socket.send(json.dumps({**START, **start}))
        yield socket, json.loads(socket.recv(60))


def until(socket: ClientConnection, kind: str, who: str = "") -> tuple[dict[str, Any], np.ndarray]:
    """Reads up to a message of this type; returns it with the audio before it."""
    sound = [np.zeros(0, np.float32)]
    while True:
        message = socket.recv(60)
        if isinstance(message, bytes):
            sound.append(parse_audio_chunk(message).samples)
            continue
        event = json.loads(message)
        if event["type"] == kind and (not who or event["who"] == who):
            return event, np.concatenate(sound)


def send_sound(socket: ClientConnection, sound: np.ndarray) -> None:
    pcm = (sound * 32767).astype("<i2")
    for start in range(0, len(pcm), 960):
        socket.send(pcm[start : start + 960].tobytes())


def test_a_conversation_over_the_socket() -> None:
    with serving(engines("my name is anna")) as (place, _), opened(place) as (socket, session):
        assert session["type"] == "session"
        assert [voice["name"] for voice in session["voices"]] == ["slt", "kal", "rms", "awb"]
        send_sound(socket, np.concatenate([silence(0.3), speechlike(1.0), silence(0.9)]))
        user, _ = until(socket, "turn", "user")
        assert user["text"] == "my name is anna"
        # the end of the speech, on the listener's own count of samples: 1.3 s
        assert abs(user["speech_end"] / 24_000 - 1.3) < 0.16
        sent, sound = until(socket, "reply.sent")
        assert len(sound) == sent["samples"] == 9 * 4800
        assert sent["words"][0] == ["Nice", 0.0, 0.2]
        socket.send(
            json.dumps({"type": "playback", "reply": 1, "played": 43_200, "finished": True})
        )
        agent, _ = until(socket, "turn", "agent")
        assert agent["text"] == "Nice to meet you, Anna. How are you today?"
        turns = f"http://{place}/v1/conversation/{session['session']}/turns"
        theirs, ours = (httpx.get(f"{turns}/{number}.wav") for number in (0, 1))
        assert len(read_audio(io.BytesIO(ours.content))) == 43_200
        assert mark_of().encode() in ours.content  # what the agent said is synthetic
        assert SYNTHETIC.encode() not in theirs.content
        assert ["x-synthetic-speech" in answer.headers for answer in (theirs, ours)] == [0, 1]
        assert httpx.get(
            f"http://{place}/v1/conversation/{session['session']}/dialogue.zip"
        ).is_success
        socket.close()


def test_a_dropped_connection_frees_its_place_and_can_resume() -> None:
    settings = ServerSettings(hub=HubSettings(max_sessions=1), page=False)
    with serving(engines(), settings) as (place, app), opened(place) as (socket, session):
        socket.send(json.dumps({"type": "text", "text": "who are you"}))
        until(socket, "reply.started")
        time.sleep(0.4)
        socket.socket.close()  # no goodbye
        began = time.monotonic()
        while app.state.hub.num_live:
            assert time.monotonic() - began < 5
            time.sleep(0.02)
        with opened(place, session=session["session"]) as (again, resumed):
            assert resumed["resumed"]
            assert resumed["session"] == session["session"]
            assert [turn["who"] for turn in resumed["turns"]] == ["user", "agent"]
            assert resumed["turns"][1]["cut"]
            again.send(json.dumps({"type": "text", "text": "my name is bob"}))
            answer, _ = until(again, "reply.text")
            assert "Bob" in answer["text"]
            again.close()


def test_a_client_may_resume_before_its_old_connection_is_known_to_be_dead() -> None:
    settings = ServerSettings(hub=HubSettings(max_sessions=1), page=False)
    with serving(engines(), settings) as (place, app), opened(place) as (socket, session):
        socket.send(json.dumps({"type": "text", "text": "my name is bob"}))
        until(socket, "reply.started")
        with opened(place, session=session["session"]) as (again, resumed):
            assert resumed["resumed"]
            assert resumed["turns"][0]["text"] == "my name is bob"
            refused, _ = until(socket, "error")
            assert (refused["code"], refused["fatal"]) == ("taken_over", True)
            with pytest.raises(ConnectionClosed):
                socket.recv(60)
            # that the old connection leaves changes nothing
            again.send(json.dumps({"type": "text", "text": "what is my name"}))
            assert "Bob" in until(again, "reply.text")[0]["text"]
            assert app.state.hub.num_live == 1
            assert not app.state.hub._parked
            again.close()


def test_a_client_lost_in_mid_reply_is_noticed_within_5_s() -> None:
    """Without any close of the connection, like a laptop that is shut."""
    with (
        serving(engines(speaker=FakeSpeaker(rtf=1.0))) as (place, app),
        contextlib.closing(silent_socket(place)) as socket,
    ):
        socket.sendall(frame(json.dumps(START)))
        socket.sendall(frame(json.dumps({"type": "text", "text": "who are you"})))
        while not any(one._active for one, _ in app.state.hub._live.values()):
            time.sleep(0.02)
        began = time.monotonic()
        while not app.state.hub._parked:
            assert time.monotonic() - began < 5
            time.sleep(0.02)
        assert app.state.hub.num_live == 0
        session = next(iter(app.state.hub._parked.values()))[0]
        assert session._active is None


def silent_socket(place: str) -> socketlib.socket:
    """A WebSocket that answers nothing, not even pings."""
    host, _, port = place.partition(":")
    plain = socketlib.create_connection((host, int(port)))
    plain.sendall(
        f"GET /v1/conversation HTTP/1.1\r\nHost: {place}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n\r\n".encode()
    )
    assert b"101" in plain.recv(4096).split(b"\r\n")[0]
    return plain


def frame(text: str) -> bytes:
    """A masked text frame of less than 126 bytes (RFC 6455, section 5.2); the mask is 0."""
    content = text.encode()
    assert len(content) < 126
    return bytes([0x81, 0x80 | len(content), 0, 0, 0, 0]) + content


def test_an_unknown_or_expired_session_is_replaced_by_a_new_one() -> None:
    with (
        serving(engines(), ServerSettings(hub=HubSettings(parked_s=0.2), page=False)) as (
            place,
            _,
        ),
        opened(place) as (socket, session),
    ):
        socket.close()
        time.sleep(0.6)
        with opened(place, session=session["session"]) as (again, fresh):
            assert not fresh["resumed"]
            assert fresh["session"] != session["session"]
            again.close()


def test_an_abandoned_conversation_ends_without_other_traffic() -> None:
    settings = ServerSettings(hub=HubSettings(parked_s=0.2), page=False)
    with serving(engines(), settings) as (place, app):
        with opened(place) as (_, session):
            pass
        began = time.monotonic()
        while app.state.hub.find(session["session"]) is not None:
            assert time.monotonic() - began < 5
            time.sleep(0.02)


def test_a_busy_server_is_reported() -> None:
    settings = ServerSettings(hub=HubSettings(max_sessions=1), page=False)
    with (
        serving(engines(), settings) as (place, _),
        opened(place),
        opened(place) as (_, refused),
    ):
        assert refused["type"] == "error"
        assert refused["code"] == "busy"
        assert "try again" in refused["message"]


def test_an_idle_conversation_is_ended() -> None:
    settings = ServerSettings(hub=HubSettings(idle_s=0.5), page=False)
    with serving(engines(), settings) as (place, app), opened(place) as (socket, _):
        event, _ = until(socket, "error")
        assert event["code"] == "idle"
        with pytest.raises(ConnectionClosed):
            while True:
                socket.recv(60)
        assert app.state.hub.num_live == 0


def test_metrics_are_updated() -> None:
    with serving(engines("hello")) as (place, _), opened(place) as (socket, _):
        send_sound(socket, np.concatenate([speechlike(0.8), silence(0.9)]))
        until(socket, "reply.sent")
        socket.send(json.dumps({"type": "measured", "reply": 1, "first_audio_ms": 640}))
        socket.send(json.dumps({"type": "playback", "reply": 1, "played": 1, "underruns": 2}))
        socket.send(json.dumps({"type": "ping", "at": 1}))
        until(socket, "pong")
        text = httpx.get(f"http://{place}/metrics").text
        for line in (
            "repartee_sessions 1.0",
            'repartee_first_audio_seconds_bucket{le="0.7"} 1.0',
            'repartee_underruns_total{where="page"} 2.0',
            "repartee_recognition_seconds_count 1.0",
            "repartee_rtf_count 1.0",
            "repartee_llm_seconds_count 1.0",
            "repartee_end_of_turn_seconds_count 1.0",
        ):
            assert line in text, line
        socket.close()


def test_openai_speech_by_a_named_model() -> None:
    both = engines()
    with serving(both) as (place, _):
        url = f"http://{place}/v1/audio/speech"
        for name in ("flow-omni", "tts-1"):
            assert httpx.post(url, json={"input": "one", "model": name}).status_code == 200
        assert [d.predictor for d in both.speaker.dialogues[-2:]] == ["flow-omni", "gpt-talker"]


def test_a_voice_is_cloned_used_and_removed(tmp_path: Path) -> None:
    write_audio(tmp_path / "anna.wav", espeak_voice())
    sample = (tmp_path / "anna.wav").read_bytes()
    shared = engines(library=Library(tmp_path / "library"))
    with serving(shared) as (place, _):
        url, speech = f"http://{place}/v1/audio/voices", f"http://{place}/v1/audio/speech"

        def post(name: str, consent: str = "she said so", content: bytes = sample) -> int:
            return httpx.post(
                url,
                data={"name": name, "consent": consent},
                files={"audio_sample": ("sample.wav", content)},
                timeout=60,
            ).status_code

        assert httpx.post(speech, json={"input": "one", "voice": "anna"}).status_code == 400
        assert post("anna") == 200
        assert "anna" in [voice["id"] for voice in httpx.get(url).json()["data"]]
        pcm = httpx.post(speech, json={"input": "one", "voice": "anna", "response_format": "pcm"})
        samples = np.frombuffer(pcm.content, "<i2")
        assert abs(np.argmax(np.abs(np.fft.rfft(samples))) / 0.2 - 660) < 6
        for given in (
            {"name": "anna"},
            {"name": "slt"},
            {"name": "../anna"},
            {"name": "berta", "consent": " "},
            {"name": "berta", "content": b"not audio"},
            {"name": "berta", "content": sample[: 2 * 48_000]},
        ):
            assert post(**given) == 400, given
        assert shared.voices.library.names() == ["anna"]
        assert httpx.delete(f"{url}/slt").status_code == 400
        assert httpx.delete(f"{url}/anna").json()["deleted"]
        assert httpx.post(speech, json={"input": "one", "voice": "anna"}).status_code == 400


def test_openai_speech() -> None:
    with serving(engines()) as (place, _):
        url = f"http://{place}/v1/audio/speech"
        pcm = httpx.post(
            url, json={"input": "one two three", "voice": "kal", "response_format": "pcm"}
        )
        assert pcm.headers["content-type"] == "audio/pcm"
        samples = np.frombuffer(pcm.content, "<i2") / 32767
        assert len(samples) == 3 * 4800
        assert abs(np.argmax(np.abs(np.fft.rfft(samples))) / 0.6 - 220) < 3
        for kind, start in (("wav", b"RIFF"), ("flac", b"fLaC"), ("opus", b"OggS")):
            got = httpx.post(url, json={"input": "one", "response_format": kind})
            assert got.content.startswith(start)
        asked = {"input": "one", "stream_format": "sse", "response_format": "pcm"}
        events = httpx.post(url, json=asked).text
        assert events.count("speech.audio.delta") == 5
        assert "speech.audio.done" in events
        assert httpx.post(url, json={"input": "one", "voice": "nobody"}).status_code == 400


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        ({"input": ""}, 400, "nothing to speak"),
        ({"input": "  "}, 400, "nothing to speak"),
        ({"input": "x" * 5000}, 400, "input: String should have at most 4096 characters"),
        ({"input": "one", "speed": 9}, 400, "speed: "),
        ({}, 400, "input: Field required"),
    ],
)
def test_invalid_requests_get_an_error_message(
    given: dict[str, Any], status: int, message: str
) -> None:
    """The page shows `error.message`, which was missing."""
    with serving(engines()) as (place, _):
        answer = httpx.post(f"http://{place}/v1/audio/speech", json=given)
        assert answer.status_code == status
        assert message in answer.json()["error"]["message"]


def test_a_client_that_never_starts_gets_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.conversation.START_BY_S", 0.3)
    with serving(engines()) as (place, _), connect(f"ws://{place}/v1/conversation") as socket:
        refused = json.loads(socket.recv(60))
        assert refused["code"] == "not_started" and "within" in refused["message"]
        with pytest.raises(ConnectionClosed):
            socket.recv(60)
