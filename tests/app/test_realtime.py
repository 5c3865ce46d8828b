"""Conversations in OpenAI's realtime protocol, over a real socket."""

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from app.hub import HubSettings
from app.server import ServerSettings
from tests.app.live import engines, serving
from tests.app.test_hostile import hostile_messages
from tests.app.user_sound import silence, speechlike

LONG = "one two three four five six seven eight nine ten " * 4


class Says:
    name = "built-in"

    def reply(self, history: Any) -> Iterator[str]:
        yield LONG


_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


class Client:
    """Collects all events, each of which must validate as OpenAI's, except the beta's."""

    def __init__(self, socket: ClientConnection, is_beta: bool = False) -> None:
        self.socket, self.is_beta = socket, is_beta
        self.events: list[dict[str, Any]] = []

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def speak(self, samples: np.ndarray) -> None:
        pcm = (samples * 32767).astype("<i2")
        for start in range(0, len(pcm), 2400):
            audio = base64.b64encode(pcm[start : start + 2400].tobytes()).decode()
            self.send("input_audio_buffer.append", audio=audio)

    def type(self, text: str) -> None:
        content = [{"type": "input_text", "text": text}]
        item = {"type": "message", "role": "user", "content": content}
        self.send("conversation.item.create", item=item)
        self.send("response.create")

    def until(self, kind: str) -> dict[str, Any]:
        while True:
            event = json.loads(self.socket.recv(60))
            self.events.append(event)
            if not self.is_beta:
                _EVENT.validate_python(event)
            if event["type"] == kind:
                return event

    def sound(self) -> np.ndarray:
        deltas = [e["delta"] for e in self.events if e["type"] == "response.output_audio.delta"]
        return np.frombuffer(b"".join(map(base64.b64decode, deltas)), "<i2") / 32767


@contextlib.contextmanager
def talking(*texts: str, **changes: Any) -> Iterator[tuple[Client, Any]]:
    with (
        serving(engines(*texts, **changes)) as (place, app),
        connect(f"ws://{place}/v1/realtime?model=repartee", max_queue=None) as socket,
    ):
        yield Client(socket), app


def test_a_spoken_turn_is_recognised_and_answered() -> None:
    with talking("my name is anna") as (client, _):
        created = client.until("session.created")["session"]
        assert created["audio"]["output"]["format"] == {"type": "audio/pcm", "rate": 24_000}
        client.speak(np.concatenate([silence(0.5), speechlike(1.0), silence(0.9)]))
        done = client.until("response.done")["response"]
        kinds = [event["type"] for event in client.events]
        order = [
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed", "conversation.item.added",
            "conversation.item.input_audio_transcription.completed", "response.created",
            "response.output_item.added", "response.content_part.added",
            "response.output_audio_transcript.delta", "response.output_audio.delta",
            "response.output_audio.done", "response.output_audio_transcript.done",
            "response.content_part.done", "response.output_item.done", "response.done",
        ]  # fmt: skip
        places = [kinds.index(kind) for kind in order if kind != "response.output_audio.delta"]
        assert places == sorted(places)
        assert done["status"] == "completed"
        spoken = done["output"][0]["content"][0]["transcript"]
        assert spoken == "Nice to meet you, Anna. How are you today?"
        assert len(client.sound()) == len(spoken.split()) * 4800
        started = next(e for e in client.events if e["type"].endswith("speech_started"))
        stopped = next(e for e in client.events if e["type"].endswith("speech_stopped"))
        assert abs(stopped["audio_end_ms"] - 1500) < 120
        assert abs(started["audio_start_ms"] - (500 - 300)) < 120  # with what is kept before it


def test_typed_items_settings_and_a_commit() -> None:
    with talking("hello there") as (client, _):
        client.until("session.created")
        output = {"voice": "kal", "speed": 1.2}
        detection = {"type": "server_vad", "silence_duration_ms": 3000}
        update = {"audio": {"output": output, "input": {"turn_detection": detection}}}
        client.send("session.update", session={"type": "realtime", **update})
        updated = client.until("session.updated")["session"]["audio"]
        assert updated["output"]["voice"] == "kal"
        assert updated["input"]["turn_detection"]["silence_duration_ms"] == 3000
        client.type("my name is bob")
        assert (
            "Bob"
            in client.until("response.done")["response"]["output"][0]["content"][0]["transcript"]
        )
        sound = client.sound()[:12_000]
        assert abs(np.argmax(np.abs(np.fft.rfft(sound))) * 2 - 220) < 6
        client.until("conversation.item.done")
        client.speak(np.concatenate([silence(0.5), speechlike(1.0)]))
        client.until("input_audio_buffer.speech_started")
        client.send("input_audio_buffer.commit")  # long before three seconds of silence
        said = client.until("conversation.item.input_audio_transcription.completed")
        assert said["transcript"] == "hello there"


def test_an_answer_is_truncated_where_the_client_stopped() -> None:
    with talking(responders={"told": Says()}) as (client, app):
        client.until("session.created")
        client.type("go on")
        item = client.until("response.output_item.added")["item"]["id"]
        while len(client.sound()) < 24_000:
            client.until("response.output_audio.delta")
        client.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=900)
        done = client.until("response.done")["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"]["reason"] == "client_cancelled"
        assert client.until("conversation.item.truncated")["audio_end_ms"] == 900
        record = next(iter(app.state.hub._live.values()))[0].history.turns[-1]
        assert record.cut and record.text == "one two three four five"


def test_an_answer_is_cancelled() -> None:
    with talking(responders={"told": Says()}) as (client, _):
        client.until("session.created")
        client.type("go on")
        client.until("response.output_audio.delta")
        client.send("response.cancel")
        assert client.until("response.done")["response"]["status"] == "cancelled"
        assert client.until("conversation.item.truncated")


def test_errors_are_reported_and_the_conversation_continues() -> None:
    messages = hostile_messages(23)
    with serving(engines()) as (place, _), connect(f"ws://{place}/v1/realtime") as socket:
        good = Client(socket)
        good.until("session.created")
        cases: list[tuple[dict[str, Any], str]] = [
            ({"type": "no.such"}, "unknown_type"),
            ({"type": "session.update"}, "wrong_type"),
            ({"type": "session.update", "session": {"audio": 3}}, "wrong_type"),
            ({"type": "session.update", "session": {"audio": {"output": {"voice": "../x"}}}},
             "unknown_voice"),
            ({"type": "session.update", "session": {"audio": {"output": {"speed": True}}}},
             "wrong_type"),
            ({"type": "input_audio_buffer.append", "audio": "%%%"}, "bad_sound"),
            ({"type": "input_audio_buffer.append", "audio": "AA=="}, "bad_sound"),
            ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty"),
            ({"type": "conversation.item.create", "item": {"type": "message", "role": "system"}},
             "missing_required_parameter"),
            ({"type": "conversation.item.truncate", "item_id": "x", "audio_end_ms": 1},
             "item_not_found"),
            ({"type": "response.create"}, "nothing_to_answer"),
        ]  # fmt: skip
        for message, code in cases:
            socket.send(json.dumps(message))
            answer = json.loads(socket.recv(60))
            assert answer.get("error", {}).get("code", "") == code, (message, answer)
        for _ in range(20):
            with connect(f"ws://{place}/v1/realtime") as other:
                other.recv(60)
                for _ in range(20):
                    try:
                        other.send(next(messages))
                        assert json.loads(other.recv(60))["type"] == "error"
                    except ConnectionClosed:
                        break
        good.type("my name is anna")
        assert "Anna" in good.until("response.output_audio_transcript.done")["transcript"]


def test_it_counts_as_a_session_and_is_cleaned_up() -> None:
    settings = ServerSettings(hub=HubSettings(max_sessions=1), page=False)
    with serving(engines(), settings) as (place, app):
        url = f"ws://{place}/v1/realtime"
        with connect(url) as first:
            first.recv(60)
            with connect(url) as second:
                assert json.loads(second.recv(60))["error"]["code"] == "busy"
                with pytest.raises(ConnectionClosed):
                    second.recv(60)
        while app.state.hub.num_live:
            time.sleep(0.02)
        assert not app.state.hub._parked
