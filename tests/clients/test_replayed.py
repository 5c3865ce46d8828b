"""Requests of chat front ends whose users set only our base URL.

`requests.json` is written by hand after their code, not recorded.
"""

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from data.audio import encode_audio, read_audio

REQUESTS = json.loads((Path(__file__).parent / "requests.json").read_text())


def recording() -> bytes:
    return encode_audio(0.3 * np.sin(np.arange(24_000) * 0.1), 24_000, "wav")


@pytest.mark.parametrize("asked", REQUESTS, ids=lambda one: f"{one['client']}-{one['path']}")
def test_a_front_ends_request_is_served(url: str, asked: dict[str, Any]) -> None:
    form = asked.get("form")
    answer = httpx.request(
        asked["method"],
        url + asked["path"],
        json=asked.get("json"),
        data=form,
        files={"file": ("audio.wav", recording(), "audio/wav")} if form else None,
        headers={"Authorization": "Bearer none", **asked.get("headers", {})},
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    if "type" in asked:
        assert answer.headers["content-type"] == asked["type"]
        assert len(read_audio(io.BytesIO(answer.content))) > 9_000
    else:
        assert answer.json()[asked["holds"]]


def test_openai_python_converses(url: str) -> None:
    asyncio.run(converse(url))


async def converse(url: str) -> None:
    """`realtime.connect` over the SDK's own socket, the metadata of a response included."""
    client = openai.AsyncOpenAI(api_key="none", base_url=url)
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(
            session={"type": "realtime", "instructions": "Be brief.", "tracing": "auto"}
        )
        await connection.conversation.item.create(
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Where is the train?"}],
            },
            previous_item_id="root",
        )
        await connection.response.create(response={"metadata": {"mine": "7"}})
        sound, kinds = 0, []
        async for event in connection:
            kinds.append(event.type)
            assert event.type != "error", event
            if event.type == "response.output_audio.delta":
                sound += len(event.delta)
            if event.type == "response.created":
                assert event.response.metadata == {"mine": "7"}
            if event.type == "response.done":
                assert event.response.metadata == {"mine": "7"}
                break
    assert sound > 1000
    assert "session.updated" in kinds
