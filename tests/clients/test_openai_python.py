"""The realtime interface through the stock openai-python client."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import openai
import pytest

from app.access import AccessSettings
from app.chat_endpoint import ChatEndpoint
from app.server import ServerSettings
from tests.app.language_model import LanguageModel, event, language_model
from tests.app.live import engines, serving
from tests.app.test_realtime_tools import DONE, WEATHER, call, calls

TOKEN = "t0psecret"
Talk = Callable[[Any, openai.AsyncOpenAI], Awaitable[None]]


@pytest.fixture
def model() -> Iterator[tuple[type[LanguageModel], str]]:
    """A language model and the base URL of a server that uses it."""
    with language_model() as (handler, url):
        shared = engines("hello there", responders={"built-in": ChatEndpoint(url, "small")})
        settings = ServerSettings(access=AccessSettings(token=TOKEN), page=False)
        with serving(shared, settings) as (place, _):
            yield handler, f"http://{place}/v1"


def converse(url: str, talk: Talk) -> None:
    async def run() -> None:
        client = openai.AsyncOpenAI(api_key=TOKEN, base_url=url, max_retries=0)
        async with asyncio.timeout(60), client.realtime.connect(model="gpt-realtime") as connection:
            await talk(connection, client)

    asyncio.run(run())


async def until(connection: Any, kind: str) -> Any:
    async for found in connection:
        assert found.type != "error" or kind == "error", found
        if found.type == kind:
            return found
    raise AssertionError(f"no {kind} came")


def said(text: str, **fields: Any) -> Any:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content, **fields}


def test_a_function_is_called(model: tuple[type[LanguageModel], str]) -> None:
    handler, url = model

    async def talk(connection: Any, _: openai.AsyncOpenAI) -> None:
        handler.pieces = [calls(call(0, "weather", '{"town": "Oslo"}', "call_1")), DONE]
        await connection.session.update(
            session={"type": "realtime", "tools": [WEATHER], "tool_choice": "required"}
        )
        await connection.conversation.item.create(item=said("How is the weather in Oslo?"))
        await connection.response.create()
        called = await until(connection, "response.function_call_arguments.done")
        assert (called.name, called.arguments) == ("weather", '{"town": "Oslo"}')
        (item,) = (await until(connection, "response.done")).response.output
        assert (item.type, item.call_id) == ("function_call", "call_1")
        handler.pieces = [event("It rains."), DONE]
        output = {"type": "function_call_output", "call_id": item.call_id, "output": "rain"}
        await connection.conversation.item.create(item=output)
        await connection.response.create(response={"tool_choice": "none"})
        done = (await until(connection, "response.done")).response
        assert done.output[0].content[0].transcript == "It rains."
        assert handler.seen["messages"][-1]["content"] == "rain"
        assert handler.seen["tool_choice"] == "none"

    converse(url, talk)


def test_items_are_created_anywhere_retrieved_and_deleted(
    model: tuple[type[LanguageModel], str],
) -> None:
    handler, url = model

    async def talk(connection: Any, _: openai.AsyncOpenAI) -> None:
        items = connection.conversation.item
        await items.create(item=said("two", id="b"))
        spoken = base64.b64encode(np.full(24_000, 999, "<i2").tobytes()).decode()
        recording = [{"type": "input_audio", "audio": spoken}]
        await items.create(
            item={"type": "message", "role": "user", "content": recording, "id": "c"}
        )
        await until(connection, "conversation.item.input_audio_transcription.completed")
        first = [{"type": "output_text", "text": "one"}]
        await items.create(
            item={"type": "message", "role": "assistant", "content": first, "id": "a"},
            previous_item_id="root",
        )
        await items.create(item=said("gone", id="x"), previous_item_id="a")
        await items.delete(item_id="x")
        assert (await until(connection, "conversation.item.deleted")).item_id == "x"
        await items.retrieve(item_id="c")
        found = (await until(connection, "conversation.item.retrieved")).item
        assert found.content[0].transcript == "hello there"
        assert base64.b64decode(found.content[0].audio)[:2] == base64.b64decode(spoken)[:2]
        await connection.response.create()
        await until(connection, "response.done")
        told = [one["content"].split(" (")[0] for one in handler.seen["messages"][1:]]
        assert told == ["one", "two", "hello there"]
        await items.retrieve(item_id="x")
        refused = await until(connection, "error")
        assert (refused.error.code, refused.error.param) == ("item_not_found", "item_id")

    converse(url, talk)


def test_a_response_out_of_band_is_written(model: tuple[type[LanguageModel], str]) -> None:
    handler, url = model

    async def talk(connection: Any, _: openai.AsyncOpenAI) -> None:
        await connection.response.create(
            response={
                "conversation": "none",
                "output_modalities": ["text"],
                "instructions": "One word.",
                "input": [said("Is it about trains?")],
                "metadata": {"kind": "topic"},
            }
        )
        done = (await until(connection, "response.done")).response
        assert (done.metadata, done.conversation_id) == ({"kind": "topic"}, None)
        assert done.output[0].content[0].text == "Hello there."
        assert handler.seen["messages"][0]["content"].endswith("One word.")

    converse(url, talk)


def test_a_page_is_given_a_key_of_its_own(model: tuple[type[LanguageModel], str]) -> None:
    _, url = model

    async def run() -> None:
        trusted = openai.AsyncOpenAI(api_key=TOKEN, base_url=url)
        made = await trusted.realtime.client_secrets.create(
            session={"type": "realtime", "audio": {"output": {"voice": "kal"}}},
            expires_after={"anchor": "created_at", "seconds": 60},
        )
        page = openai.AsyncOpenAI(api_key=made.value, base_url=url, max_retries=0)
        async with page.realtime.connect(model="gpt-realtime") as connection:
            session: Any = (await until(connection, "session.created")).session
            assert session.audio.output.voice == "kal"
        with pytest.raises(openai.AuthenticationError):
            await page.models.list()

    asyncio.run(run())
