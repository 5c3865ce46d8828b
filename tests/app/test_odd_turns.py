"""Unusual typed turns are answered or rejected with a message, never ignored."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from app.server import ServerSettings
from tests.app.live import engines, serving
from tests.tiny import tiny_speaker

TEXTS = {
    "1,999 digits": "7" * 1999,
    "digits and letters": "a1" * 999,
    "one long word": "ba" * 999,
    "dots": ". " * 999,
    "emoji": "\U0001f600" * 500,
    "lone surrogates": "one \ud800 two \udfff",
    "dates": "1999-12-31 " * 180,
    "too long": "7" * 2001,
}


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    shared = engines(speaker=tiny_speaker("gpt-talker"))
    with serving(shared, ServerSettings(page=False)) as (place, _):
        yield place


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_typed_turn_is_answered_or_rejected(place: str, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    item: dict[str, Any] = {"type": "message", "role": "user", "content": content}
    with connect(f"ws://{place}/v1/realtime", max_size=None) as talk:
        talk.send(json.dumps({"type": "conversation.item.create", "item": item}))
        talk.send(json.dumps({"type": "response.create"}))
        while True:
            event = json.loads(talk.recv(60))
            if event["type"] == "response.output_audio.delta":
                assert event["delta"]
                return
            assert event["type"] != "response.done", event
            if event["type"] == "error":
                assert event["error"]["message"]
                return
