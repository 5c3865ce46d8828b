"""Function calls, out-of-band responses and text responses in the realtime protocol."""

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from app.chat_endpoint import ChatEndpoint
from app.replies import SYSTEM, TOOL, ChatMessage, messages_of
from app.tools import NOT_RETURNED, CallReader, ToolCall
from data.errors import RepError
from tests.app.fake_speaker import FakeSpeaker
from tests.app.language_model import LanguageModel, event, language_model
from tests.app.test_realtime import Client, talking

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Of a town.",
    "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
}
DONE = b"data: [DONE]\n\n"


def calls(*deltas: dict[str, Any]) -> bytes:
    """A streamed chunk with function calls."""
    choice = {"delta": {"tool_calls": list(deltas)}}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def call(index: int, name: str, arguments: str, given: str | None = None) -> dict[str, Any]:
    return {"index": index, "id": given, "function": {"name": name, "arguments": arguments}}


@contextlib.contextmanager
def with_model(
    *pieces: bytes, speaker: FakeSpeaker | None = None
) -> Iterator[tuple[Client, type[LanguageModel], Any]]:
    with language_model() as (handler, url):
        if pieces:
            handler.pieces = [*pieces, DONE]
        responders = {"built-in": ChatEndpoint(url, "small")}
        with talking(responders=responders, speaker=speaker) as (client, app):
            client.until("session.created")
            yield client, handler, app


def kinds(client: Client) -> list[str]:
    return [one["type"] for one in client.events]


def only(client: Client, kind: str) -> dict[str, Any]:
    (found,) = [one for one in client.events if one["type"] == kind]
    return found


def test_a_function_is_called_and_its_output_answered() -> None:
    asks = [
        event("Let me look."),
        calls(call(0, "weather", '{"town"', "call_7")),
        calls(call(0, "", ': "Oslo"}')),
    ]
    with with_model(*asks) as (client, model, _):
        client.send("session.update", session={"tools": [WEATHER], "tool_choice": "auto"})
        assert client.until("session.updated")["session"]["tools"] == [WEATHER]
        client.type("How is the weather in Oslo?")
        done = client.until("response.done")["response"]
        assert model.seen["tools"] == [
            {"type": "function", "function": {k: v for k, v in WEATHER.items() if k != "type"}}
        ]
        assert model.seen["tool_choice"] == "auto"
        message, called = done["output"]
        assert message["content"][0]["transcript"] == "Let me look."
        assert (called["name"], called["call_id"]) == ("weather", "call_7")
        assert json.loads(called["arguments"]) == {"town": "Oslo"}
        told = only(client, "response.function_call_arguments.done")
        assert (told["name"], told["arguments"]) == ("weather", '{"town": "Oslo"}')
        assert told["output_index"] == 1

        model.pieces = [event("It rains."), DONE]
        output = {"type": "function_call_output", "call_id": "call_7", "output": '{"sky": "rain"}'}
        client.send("conversation.item.create", item=output)
        client.send("response.create")
        done = client.until("response.done")["response"]
        assert done["output"][0]["content"][0]["transcript"] == "It rains."
        assert model.seen["messages"][1:] == [
            {"role": "user", "content": "How is the weather in Oslo?"},
            {
                "role": "assistant",
                "content": "Let me look.",
                "tool_calls": [
                    {
                        "id": "call_7",
                        "type": "function",
                        "function": {"name": "weather", "arguments": '{"town": "Oslo"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "call_7", "content": '{"sky": "rain"}'},
        ]
        # what was said before was sent as a whole: it is not cut by what follows at once
        turns = [one for one in client.events if one["type"] == "conversation.item.truncated"]
        assert not turns and "error" not in kinds(client)


def test_an_early_output_is_answered_once_the_response_is_sent() -> None:
    words = "one two three four five six seven eight nine ten"  # two seconds
    asks, speaker = (event(words), calls(call(0, "weather", "{}", "a"))), FakeSpeaker()
    speaker.gate.clear()
    with with_model(*asks, speaker=speaker) as (client, model, app):
        client.send("session.update", session={"tools": [WEATHER]})
        client.type("weather")
        client.until("response.function_call_arguments.done")
        model.pieces = [event("It rains."), DONE]
        output = {"type": "function_call_output", "call_id": "a", "output": "rain"}
        client.send("conversation.item.create", item=output)
        client.send("response.create")
        client.send("conversation.item.retrieve", item_id="none")
        client.until("error")  # so all of that was taken before there is sound
        client.events.clear()
        speaker.gate.set()
        client.until("response.done")
        began = time.monotonic()
        client.until("response.created")
        assert time.monotonic() - began < 1.5
        client.until("response.done")
        session = next(iter(app.state.hub._live.values()))[0]
        first = next(turn for turn in session.history.turns if turn.who)
        assert (first.text, first.cut) == (words, False)
        assert "error" not in kinds(client)


def test_a_second_active_response_is_rejected_with_openais_code() -> None:
    with with_model() as (client, model, _):
        model.gate.clear()
        client.type("hello")
        client.until("response.created")
        client.send("response.create")
        code = client.until("error")["error"]["code"]
        assert code == "conversation_already_has_active_response"
        model.gate.set()
        assert client.until("response.done")["response"]["status"] == "completed"


def test_an_answer_with_calls_only_has_no_message() -> None:
    with with_model(calls(call(0, "weather", "{}", "a"), call(1, "weather", "[]", "b"))) as (
        client,
        _,
        app,
    ):
        client.send("session.update", session={"tools": [WEATHER]})
        client.type("weather")
        done = client.until("response.done")["response"]
        assert [item["call_id"] for item in done["output"]] == ["a", "b"]
        assert done["status"] == "completed"
        assert "response.content_part.added" not in kinds(client)
        session = next(iter(app.state.hub._live.values()))[0]
        assert [turn.text for turn in session.history.turns] == ["weather"]


def test_a_function_that_never_returns_does_not_block() -> None:
    with with_model(calls(call(0, "weather", "{}", "a"))) as (client, model, _):
        client.send("session.update", session={"tools": [WEATHER]})
        client.type("weather")
        client.until("response.done")
        model.pieces = [event("Never mind."), DONE]
        client.type("forget it")
        done = client.until("response.done")["response"]
        assert done["output"][0]["content"][0]["transcript"] == "Never mind."
        assert model.seen["messages"][-2]["content"] == NOT_RETURNED


@pytest.mark.parametrize("choice", ["none", "required", {"type": "function", "name": "weather"}])
def test_tool_choice_is_passed_on(choice: Any) -> None:
    with with_model() as (client, model, _):
        client.send("session.update", session={"tools": [WEATHER], "parallel_tool_calls": False})
        client.send(
            "conversation.item.create",
            item={
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "hi"}],
            },
        )
        client.send("response.create", response={"tool_choice": choice})
        client.until("response.done")
        wanted = choice
        if isinstance(choice, dict):
            wanted = {"type": "function", "function": {"name": "weather"}}
        assert model.seen["tool_choice"] == wanted
        assert model.seen["parallel_tool_calls"] is False


def test_tools_of_a_response_apply_to_it_only() -> None:
    with with_model() as (client, model, _):
        client.send("response.create", response={"tools": [WEATHER], "instructions": "Greet."})
        client.until("response.done")
        assert model.seen["tools"] and "Greet." in model.seen["messages"][0]["content"]
        client.send("response.create")  # a language model may speak unasked
        client.until("response.done")
        assert "tools" not in model.seen
        assert "Greet." not in model.seen["messages"][0]["content"]


def test_an_out_of_band_response_does_not_enter_the_conversation() -> None:
    with with_model() as (client, model, _):
        client.type("hello")
        client.until("response.done")
        before = model.seen["messages"]
        text = {"type": "input_text", "text": "Is this about trains?"}
        given = {
            "conversation": "none",
            "output_modalities": ["text"],
            "instructions": "Say yes or no.",
            "metadata": {"topic": "trains"},
            "input": [{"type": "message", "role": "user", "content": [text]}],
        }
        client.events.clear()
        client.send("response.create", response=given)
        done = client.until("response.done")["response"]
        assert done["metadata"] == {"topic": "trains"}
        assert (done["conversation_id"], done["output_modalities"]) == (None, ["text"])
        assert done["output"][0]["content"] == [{"type": "output_text", "text": "Hello there."}]
        assert [one["content"] for one in model.seen["messages"][1:]] == [text["text"]]
        assert not [kind for kind in kinds(client) if kind.startswith("conversation.item.added")]
        assert not [kind for kind in kinds(client) if "audio" in kind]
        client.type("go on")
        client.until("response.done")
        told = [one["content"] for one in model.seen["messages"]]
        assert told == [*(one["content"] for one in before), "Hello there.", "go on"]


def test_an_out_of_band_response_may_be_spoken_and_refer_to_items() -> None:
    with with_model() as (client, model, _):
        client.type("hello")
        item = client.until("conversation.item.added")["item"]["id"]
        client.until("response.done")
        reference = {"type": "item_reference", "id": item}
        given = {"conversation": "none", "input": [reference]}
        client.events.clear()
        client.send("response.create", response=given)
        assert client.until("response.done")["response"]["status"] == "completed"
        assert len(client.sound()) == 2 * 4800
        assert [one["content"] for one in model.seen["messages"][1:]] == ["hello"]


def test_out_of_band_responses_are_limited_and_can_be_cancelled() -> None:
    with with_model() as (client, model, _):
        model.gate.clear()
        given = {"conversation": "none", "output_modalities": ["text"]}
        names = []
        for _ in range(4):
            client.send("response.create", response=given)
            names.append(client.until("response.created")["response"]["id"])
        client.send("response.create", response=given)
        assert "4 out-of-band responses" in client.until("error")["error"]["message"]
        client.send("response.cancel", response_id=names[0])
        done = client.until("response.done")["response"]
        assert (done["id"], done["status"]) == (names[0], "cancelled")
        model.gate.set()
        ended = {client.until("response.done")["response"]["id"] for _ in names[1:]}
        assert ended == set(names[1:])


def test_answers_may_be_text_only() -> None:
    with with_model() as (client, model, app):
        client.send("session.update", session={"output_modalities": ["text"]})
        assert client.until("session.updated")["session"]["output_modalities"] == ["text"]
        client.type("hello")
        done = client.until("response.done")["response"]
        assert done["output"][0]["content"] == [{"type": "output_text", "text": "Hello there."}]
        assert only(client, "response.output_text.done")["text"] == "Hello there."
        assert not [kind for kind in kinds(client) if "audio" in kind]
        client.send("session.update", session={"output_modalities": ["audio"]})
        client.type("and now")
        client.until("response.done")
        assert len(client.sound()) == 2 * 4800
        assert model.seen["messages"][2]["content"] == "Hello there."
        session = next(iter(app.state.hub._live.values()))[0]
        assert [turn.typed for turn in session.history.turns[:3]] == [True, True, True]


def test_a_failing_language_model_fails_its_response() -> None:
    with with_model() as (client, model, _):
        model.status = 500
        client.type("hello")
        done = client.until("response.done")["response"]
        assert done["status"] == "failed"
        assert "500" in done["status_details"]["error"]["message"]
        model.status = 200
        client.type("again")
        assert client.until("response.done")["response"]["status"] == "completed"


def test_a_new_item_right_after_an_answer_does_not_truncate_it() -> None:
    with with_model(event("one two three four five six seven eight")) as (client, model, app):
        for text in ("go on", "and on"):
            client.type(text)
            client.until("response.done")
        session = next(iter(app.state.hub._live.values()))[0]
        assert not [turn for turn in session.history.turns if turn.cut]
        assert model.seen["messages"][2]["content"] == "one two three four five six seven eight"


# Calls in messages


def test_outputs_follow_their_calls() -> None:
    a, b, c = (ToolCall(name, name.upper(), "{}") for name in "abc")
    history = [
        ChatMessage(0, "hi"),
        ChatMessage(1, "", call=a),
        ChatMessage(1, "", call=b),
        ChatMessage(0, "hurry"),
        ChatMessage(TOOL, "B!", answers="b"),
        ChatMessage(1, "", call=c),
        ChatMessage(SYSTEM, "Be brief."),
        ChatMessage(TOOL, "A!", answers="a"),
        ChatMessage(TOOL, "lost", answers="x"),
    ]
    found = messages_of(history)[1:]
    assert [(one["role"], one.get("tool_call_id")) for one in found] == [
        ("user", None),
        ("assistant", None),
        ("tool", "a"),
        ("tool", "b"),
        ("user", None),
        ("assistant", None),
        ("tool", "c"),
        ("system", None),
    ]
    assert [one["id"] for one in found[1]["tool_calls"]] == ["a", "b"]
    assert [found[at]["content"] for at in (2, 3, 6)] == ["A!", "B!", NOT_RETURNED]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([[call(0, "f", '{"a":', "x")], [call(0, "", " 1}")]], [("x", "f", '{"a": 1}')]),
        ([[call(0, "f", "{}", "x")], [call(0, "g", "{}", "y")]],  # all of one index
         [("x", "f", "{}"), ("y", "g", "{}")]),
        ([[{"id": "x", "function": {"name": "f", "arguments": {"a": 1}}}]],
         [("x", "f", '{"a": 1}')]),
        ([[{"index": 0, "function": {"name": "f"}}]], [(None, "f", "{}")]),
        ([[{"index": 0, "id": "x", "function": None}]], []),
    ],
)  # fmt: skip
def test_calls_are_assembled_from_deltas(
    deltas: list[list[dict[str, Any]]], expected: list[tuple[str | None, str, str]]
) -> None:
    reader = CallReader()
    for one in deltas:
        reader.push(one)
    found = reader.calls()
    assert [(one.name, one.arguments) for one in found] == [one[1:] for one in expected]
    for one, (given, *_) in zip(found, expected, strict=True):
        assert one.id == given or (given is None and one.id.startswith("call_"))


@pytest.mark.parametrize("delta", [call(0, "f", "x" * 1000, "a"), "many"])
def test_endless_calls_are_an_error(delta: Any) -> None:
    reader = CallReader()
    with pytest.raises(RepError, match="too many function calls"):
        for at in range(100):
            reader.push([call(at, "f", "", str(at)) if delta == "many" else delta])


@pytest.mark.parametrize("garbage", [[3], [{"function": 3}], {"a": 1}, [{"function": {"name": 3}}]])
def test_malformed_calls_end_the_answer_with_an_error(garbage: Any) -> None:
    choice = {"delta": {"tool_calls": garbage}}
    piece = b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
    with with_model(piece) as (client, model, _):
        client.send("session.update", session={"tools": [WEATHER]})
        client.type("weather")
        assert client.until("response.done")["response"]["status"] == "failed"
        model.pieces = [event("Fine."), DONE]
        client.type("again")
        assert client.until("response.done")["response"]["status"] == "completed"
        assert np.abs(client.sound()).max() > 0.1
