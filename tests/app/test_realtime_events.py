"""The realtime protocol: manual turns, audio formats, the beta's events, invalid events."""

import base64
import json
from typing import Any

import numpy as np
import pytest
import soxr
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from app.api.audio_formats import SoundReader, SoundWriter
from data.limits import MAX_TURN
from tests.app.live import engines, serving
from tests.app.test_realtime import Client, Says, talking
from tests.app.user_sound import silence, speechlike


def append(client: Client, content: bytes) -> None:
    for at in range(0, len(content), 4800):
        audio = base64.b64encode(content[at : at + 4800]).decode()
        client.send("input_audio_buffer.append", audio=audio)


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def manual(client: Client, **fields: Any) -> None:
    client.until("session.created")
    client.send("session.update", session={"turn_detection": None, **fields})
    client.until("session.updated")


def kinds(client: Client) -> list[str]:
    return [event["type"] for event in client.events]


@pytest.mark.parametrize(
    "sound", [speechlike(1.0), silence(1.0), np.zeros(12_000, np.float32), speechlike(0.1)]
)
def test_without_detection_a_turn_is_the_committed_audio(sound: np.ndarray) -> None:
    with talking("hello there") as (client, _):
        manual(client)
        append(client, pcm(sound))
        client.send("input_audio_buffer.commit")
        said = client.until("conversation.item.input_audio_transcription.completed")
        assert said["transcript"] == "hello there"
        assert "input_audio_buffer.committed" in kinds(client)
        assert "input_audio_buffer.speech_started" not in kinds(client)
        assert "response.created" not in kinds(client)
        client.send("response.create")
        done = client.until("response.done")["response"]
        assert done["status"] == "completed"
        assert "error" not in kinds(client)


def test_commit_and_response_may_come_together() -> None:
    with talking("hello", "and again") as (client, _):
        manual(client)
        for _ in range(2):
            append(client, pcm(speechlike(0.5)))
            client.send("input_audio_buffer.commit")
        client.send("response.create")
        client.until("response.done")
        told = [e["transcript"] for e in client.events if e["type"].endswith("tion.completed")]
        assert told == ["hello", "and again"]


def test_the_buffer_is_cleared_once() -> None:
    with talking("hello") as (client, _):
        manual(client)
        append(client, pcm(speechlike(0.5)))
        client.send("input_audio_buffer.clear")
        client.send("input_audio_buffer.clear")
        client.send("input_audio_buffer.commit")
        error = client.until("error")["error"]
        assert error["code"] == "input_audio_buffer_commit_empty"
        assert kinds(client).count("input_audio_buffer.cleared") == 2


def test_a_full_buffer_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.user_turns.MAX_TURN_S", 5)
    with talking("hello") as (client, _):
        manual(client)
        for _ in range(20):
            append(client, bytes(48_000))
        client.send("input_audio_buffer.commit")
        client.until("input_audio_buffer.committed")
        errors = [e["error"] for e in client.events if e["type"] == "error"]
        assert [error["code"] for error in errors] == ["too_long"]


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
@pytest.mark.parametrize("is_beta", [False, True])
def test_audio_can_be_g711(kind: str, is_beta: bool) -> None:
    with talking("hello there") as (client, app):
        law = {"audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"}[kind]
        shape: dict[str, Any] = {"input_audio_format": law, "output_audio_format": law}
        if not is_beta:
            sound = {"format": {"type": kind}}
            shape = {"audio": {"input": sound, "output": sound}}
        client.until("session.created")
        client.send("session.update", session={"turn_detection": None, **shape})
        client.until("session.updated")
        spoken = speechlike(1.0)
        writer = SoundWriter(kind)
        append(client, writer.write(spoken) + writer.flush())
        client.send("input_audio_buffer.commit")
        client.send("response.create")
        done = client.until("response.done")["response"]
        words = len(done["output"][0]["content"][0]["transcript"].split())
        deltas = [
            base64.b64decode(event["delta"])
            for event in client.events
            if event["type"] == "response.output_audio.delta"
        ]
        content = b"".join(deltas)
        assert len(content) == pytest.approx(words * 1600, abs=8)
        heard = SoundReader(kind).read(content)
        peak = np.argmax(np.abs(np.fft.rfft(heard)))
        assert peak * 24_000 / len(heard) == pytest.approx(440, abs=2)
        session = next(iter(app.state.hub._live.values()))[0]
        kept = session.history.sound(session.history.turns[0])
        assert kept is not None
        assert abs(len(kept) - len(spoken)) < 60
        low = soxr.resample(soxr.resample(spoken, 24_000, 8000), 8000, 24_000)
        count = min(len(kept), len(low))
        assert np.corrcoef(kept[:count], low[:count])[0, 1] > 0.99


def test_a_beta_client_gets_beta_events() -> None:
    names = [Subprotocol("realtime"), Subprotocol("openai-beta.realtime-v1")]
    with (
        serving(engines("hello there")) as (place, _),
        connect(f"ws://{place}/v1/realtime", subprotocols=names) as socket,
    ):
        client = Client(socket, is_beta=True)
        session = client.until("session.created")["session"]
        assert session["modalities"] == ["text", "audio"]
        assert session["input_audio_format"] == "pcm16"
        assert session["turn_detection"]["type"] == "server_vad"
        client.type("my name is anna")
        done = client.until("response.done")["response"]
        assert done["output"][0]["content"][0]["type"] == "audio"
        assert {"response.audio.delta", "response.audio_transcript.delta"} <= set(kinds(client))
        assert "conversation.item.created" in kinds(client)
        assert not [kind for kind in kinds(client) if "output_audio" in kind]


def test_the_header_selects_the_beta_too() -> None:
    headers = {"OpenAI-Beta": "realtime=v1"}
    with (
        serving(engines()) as (place, _),
        connect(f"ws://{place}/v1/realtime?model=flow-omni", additional_headers=headers) as socket,
    ):
        session = Client(socket, is_beta=True).until("session.created")["session"]
        assert session["modalities"] == ["text", "audio"]
        assert session["model"] == "flow-omni"


def test_transcripts_can_be_disabled() -> None:
    with talking("hello there") as (client, _):
        client.until("session.created")
        client.send("session.update", session={"input_audio_transcription": None})
        client.until("session.updated")
        client.speak(np.concatenate([silence(0.3), speechlike(1.0), silence(0.9)]))
        client.until("response.done")
        assert not [kind for kind in kinds(client) if "transcription" in kind]
        item = next(e["item"] for e in client.events if e["type"] == "conversation.item.done")
        assert item["content"] == [{"type": "input_audio", "transcript": None}]


TEXT = [{"type": "input_text", "text": "hi"}]
MESSAGE = {"type": "message", "role": "user", "content": TEXT}
ODD: list[tuple[dict[str, Any], str, str | None]] = [
    ({"type": "conversation.item.create", "item": {**MESSAGE, "role": "tool"}}, "unsupported",
     "item.role"),
    ({"type": "conversation.item.create", "item": {**MESSAGE, "type": "mcp_call"}},
     "unsupported", "item.type"),
    ({"type": "conversation.item.create", "item": {"role": "user", "content": TEXT}},
     "wrong_type", "item.type"),
    ({"type": "conversation.item.create", "item": {**MESSAGE, "role": "assistant"}},
     "unsupported", "item.content[0].type"),
    ({"type": "conversation.item.create", "item": {"type": "function_call", "name": "f"}},
     "missing_required_parameter", "item.arguments"),
    ({"type": "conversation.item.create",
      "item": {"type": "function_call_output", "call_id": "c", "output": {"a": 1}}},
     "wrong_type", "item.output"),
    ({"type": "conversation.item.create", "item": {**MESSAGE, "content": "hi"}}, "wrong_type",
     "item.content"),
    ({"type": "conversation.item.create", "item": {**MESSAGE, "content": [3]}}, "wrong_type",
     "item.content[0]"),
    ({"type": "conversation.item.create",
      "item": {**MESSAGE, "content": [*TEXT, {"type": "input_image", "text": "x"}]}},
     "unsupported", "item.content[1].type"),
    ({"type": "conversation.item.create",
      "item": {**MESSAGE, "content": [*TEXT, {"type": "input_audio", "audio": "AAAA"}]}},
     "unsupported", "item.content"),
    ({"type": "conversation.item.create",
      "item": {**MESSAGE, "content": [{"type": "input_audio", "audio": "%"}]}},
     "bad_sound", "item.content[0].audio"),
    ({"type": "conversation.item.create",
      "item": {**MESSAGE, "content": [{"type": "input_text", "text": None}]}},
     "wrong_type", "item.content[0].text"),
    ({"type": "conversation.item.create",
      "item": {**MESSAGE, "content": [{"type": "input_text", "text": "\ud83d"}]}},
     "out_of_range", "item.content"),
    ({"type": "conversation.item.create", "item": {**MESSAGE, "id": 3}}, "wrong_type", "item.id"),
    ({"type": "conversation.item.create", "item": {**MESSAGE, "id": "x" * 900}}, "out_of_range",
     "item.id"),
    ({"type": "conversation.item.create", "item": {**MESSAGE, "name": "x"}}, "unknown_parameter",
     "item.name"),
    ({"type": "conversation.item.create", "item": MESSAGE, "previous_item_id": "gone"},
     "item_not_found", "previous_item_id"),
    ({"type": "conversation.item.create"}, "wrong_type", "item"),
    ({"type": "conversation.item.delete", "item_id": "x"}, "item_not_found", "item_id"),
    ({"type": "conversation.item.retrieve", "item_id": "x"}, "item_not_found", "item_id"),
    ({"type": "conversation.item.retrieve"}, "wrong_type", "item_id"),
    ({"type": "conversation.item.truncate", "item_id": "x", "audio_end_ms": 1}, "item_not_found",
     "item_id"),
    ({"type": "session.update", "session": [1]}, "wrong_type", "session"),
    ({"type": "session.update", "session": {"audio": {"output": {"voice": "\udc00x"}}}},
     "unknown_voice", "session.audio.output.voice"),
    ({"type": "input_audio_buffer.append", "audio": None}, "wrong_type", "audio"),
    ({"type": "input_audio_buffer.append", "audio": ["AAAA"]}, "wrong_type", "audio"),
    ({"type": "input_audio_buffer.append", "audio": "\u00e9\u00e9=="}, "bad_sound", "audio"),
    ({"type": "input_audio_buffer.append", "audio": "AAA="[:3]}, "bad_sound", "audio"),
    ({"type": "input_audio_buffer.append", "audio": "AAAA", "rate": 1}, "unknown_parameter",
     "rate"),
    ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
    ({"type": "response.create", "response": {"modalities": ["video"]}}, "unsupported",
     "response.modalities"),
    ({"type": "response.create", "response": {"conversation": "none"}}, "nothing_to_answer", None),
    ({"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "x"}]}},
     "out_of_range", "response.input[0].id"),
    ({"type": "response.create", "response": {"input": [MESSAGE, 3]}}, "wrong_type",
     "response.input[1]"),
    ({"type": "response.create", "response": 3}, "wrong_type", "response"),
    ({"type": "response.create", "response": None}, "nothing_to_answer", None),
    ({"type": "response.cancel"}, "response_cancel_not_active", "response_id"),
    ({"type": "response.cancel", "response_id": "resp_9"}, "response_cancel_not_active",
     "response_id"),
    ({"type": "\ud83d"}, "unknown_type", "type"),
    ({"type": None}, "unknown_type", "type"),
    ({"type": ["session.update"]}, "unknown_type", "type"),
    ({}, "unknown_type", "type"),
]  # fmt: skip


def test_each_invalid_event_is_an_error_and_the_session_continues() -> None:
    with talking() as (client, _):
        client.until("session.created")
        for number, (event, code, param) in enumerate(ODD):
            client.socket.send(json.dumps({**event, "event_id": f"mine_{number}"}))
            told = client.until("error")
            assert told["event_id"].startswith("event_")
            error = told["error"]
            assert (error["code"], error["param"]) == (code, param), (event, error)
            assert error["event_id"] == f"mine_{number}"
            assert error["type"] == "invalid_request_error"
            assert error["message"].isascii()
        client.type("my name is anna")
        assert "Anna" in client.until("response.output_audio_transcript.done")["transcript"]


RAW = [
    b"\x00\x01\x02", b"{}", bytes(60_000), "", "null", "[]", '"session.update"', "[" * 50_000,
    '{"type": "input_audio_buffer.append", "audio": ' + "9" * 4000 + "}",
    '{"type": "conversation.item.truncate", "item_id": "item_1", "audio_end_ms": ' + "9" * 4000
    + "}",
    '{"type": "session.update", "session": {"speed": ' + "1" * 4000 + "}}",
    '{"type": "session.update", "session": {"speed": NaN}}',
    '{"type": "session.update", "session": {"turn_detection": {"threshold": -Infinity}}}',
    '{"type": "session.update", "session": ' + '{"audio": ' * 500 + "1" + "}" * 501,
    '{"type": "session.update", "event_id": ' + "9" * 4000 + "}",
    '{"type": "session.update", "event_id": {"a": []}}',
    "{'type': 'session.update'}",
]  # fmt: skip


def test_each_malformed_message_is_an_error_and_the_session_continues() -> None:
    with talking() as (client, _):
        client.until("session.created")
        for message in RAW:
            client.socket.send(message)
            event = client.until("error")
            assert {"code", "param", "event_id", "message", "type"} <= set(event["error"])
        client.type("my name is anna")
        assert "Anna" in client.until("response.output_audio_transcript.done")["transcript"]


@pytest.mark.parametrize(
    "text",
    [
        "Hi \ud83d there",
        "\ud83dmy name is \udc00anna",
        "a\ud83d\ud83d b",
        "\udfff hello",
        "hi \ud800",
    ],
)
def test_a_lone_surrogate_is_removed_and_the_session_continues(text: str) -> None:
    with talking() as (client, _):
        client.until("session.created")
        for _ in range(2):
            client.type(text)
            client.until("response.done")
        items = [e["item"] for e in client.events if e["type"] == "conversation.item.added"]
        told = items[0]["content"][0]["text"]
        assert told == " ".join("".join(c for c in text if not "\ud800" <= c <= "\udfff").split())


def test_a_client_may_choose_item_ids() -> None:
    with talking() as (client, _):
        client.until("session.created")
        client.send("conversation.item.create", item={**MESSAGE, "id": "item_mine"})
        assert client.until("conversation.item.done")["item"]["id"] == "item_mine"


@pytest.mark.parametrize(
    ("length", "count"), [(1950, 20), (2000, 3), (1000, 9), (300, 40), (1, 60)]
)
def test_items_that_wait_for_a_response_are_limited(length: int, count: int) -> None:
    """Twenty of 1,950 characters took 7.2 GB in 35 s, and more crashed the machine."""
    with talking(responders={"told": Says()}) as (client, app):
        client.until("session.created")
        content = [{"type": "input_text", "text": "x" * length}]
        for _ in range(count):
            client.send("conversation.item.create", item={**MESSAGE, "content": content})
        client.send("response.create")
        client.until("response.created")
        errors = [e["error"] for e in client.events if e["type"] == "error"]
        assert errors and {error["code"] for error in errors} == {"out_of_range"}
        session = next(iter(app.state.hub._live.values()))[0]
        assert len(session.history.turns[0].text) <= MAX_TURN


def test_a_response_may_be_cancelled_by_id() -> None:
    with talking(responders={"told": Says()}) as (client, _):
        client.until("session.created")
        client.type("go on")
        name = client.until("response.created")["response"]["id"]
        client.until("response.output_audio.delta")
        client.send("response.cancel", response_id="resp_77")
        assert client.until("error")["error"]["code"] == "response_cancel_not_active"
        client.send("response.cancel", response_id=name)
        assert client.until("response.done")["response"]["status"] == "cancelled"


def test_truncating_a_finished_answer_does_not_affect_the_next() -> None:
    with talking(responders={"told": Says()}) as (client, app):
        client.until("session.created")
        client.type("go on")
        first = client.until("response.output_item.added")["item"]["id"]
        client.until("response.output_audio.delta")
        client.type("and on")  # cuts it
        second = client.until("response.created")["response"]["id"]
        client.until("response.output_audio.delta")
        item = {"item_id": first, "content_index": 0, "audio_end_ms": 100}
        client.send("conversation.item.truncate", **item)
        while client.until("conversation.item.truncated")["audio_end_ms"] != 100:
            pass
        session = next(iter(app.state.hub._live.values()))[0]
        assert session.answering and second
        assert session.history.turns[1].text == "one"


def test_too_many_errors_end_the_connection() -> None:
    with talking() as (client, _):
        client.until("session.created")
        with pytest.raises(ConnectionClosed):
            for _ in range(200):
                client.send("no.such")
                client.until("error")
