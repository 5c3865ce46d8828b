"""Turns that no longer fit are summarised by the language model, in time and in the background."""

import threading
import time
from typing import Any

from app.chat_endpoint import ChatEndpoint
from app.history import DialogueHistory, TurnRecord
from app.replies import CONTEXT_TOKENS, ChatMessage, ContextOptions, messages_of
from app.summaries import Summaries
from data.errors import RepError
from tests.app.language_model import event, language_model


def turns(count: int, who: str = "Anna") -> list[ChatMessage]:
    return [
        ChatMessage(n % 2, f"{who} {n}: " + "so it was and so it is. " * 12) for n in range(count)
    ]


class Model:
    """Counts what it has summarised."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = False

    def __call__(self, messages: list[dict[str, Any]]) -> str:
        self.asked.append(messages[1]["content"])
        if self.fails:
            raise RepError("it is down")
        return f"summary {len(self.asked)}"


def settled() -> None:
    deadline = time.monotonic() + 5
    while any(thread.name == "summary" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_a_summary_is_there_before_turns_are_dropped() -> None:
    model = Model()
    options = ContextOptions(summary_of=Summaries(model).of)
    spoken: list[ChatMessage] = []
    for turn in turns(150):
        spoken.append(turn)
        messages = messages_of(spoken, None, options)
        settled()
        told = messages[0]["content"]
        if len(messages) <= len(spoken):
            assert "in short: summary" in told
        kept = [message["content"] for message in messages[1:]]
        assert kept == [one.text for one in spoken[-len(kept) :]]
    # each turn but the last ones was summarised once, with the summary so far
    lines = [line for asked in model.asked for line in asked.splitlines()]
    numbers = [int(line.split()[2][:-1]) for line in lines if line[:1] in "PA"]
    assert numbers == list(range(len(numbers))) and len(numbers) > 100
    assert model.asked[1].startswith("Summary so far: summary 1\n")


def test_conversations_do_not_share_summaries() -> None:
    model = Model()
    summaries = Summaries(model)
    summaries.of(turns(10))
    settled()
    assert summaries.of(turns(10)) == "summary 1"
    assert summaries.of(turns(10, "Ben")) == ""
    settled()


def test_a_failing_model_is_not_asked_again_at_once() -> None:
    model = Model()
    model.fails = True
    summaries = Summaries(model)
    for _ in range(5):
        assert summaries.of(turns(10)) == ""
        settled()
    assert len(model.asked) == 1


def test_the_answering_model_writes_the_summary() -> None:
    with language_model() as (handler, url):
        handler.pieces = [event("They met in Oslo."), b"data: [DONE]\n\n"]
        endpoint = ChatEndpoint(url, "small", summarises=True)
        history = turns(2 * CONTEXT_TOKENS // 80)
        list(endpoint.reply(history))
        settled()
        list(endpoint.reply([*history, ChatMessage(0, "Where was it?")]))
        endpoint.close()
        seen: Any = handler.seen
    assert "in short: They met in Oslo." in seen["messages"][0]["content"]
    assert seen["messages"][-1]["content"] == "Where was it?"


def test_the_beginning_of_a_long_conversation_changes_rarely() -> None:
    history = DialogueHistory()
    first = set()
    for number in range(420):
        history.add(TurnRecord(history.number(), number % 2, f"turn {number}"), None)
        said = history.messages()
        assert len(said) >= min(number + 1, 200) and said[-1].text == f"turn {number}"
        first.add(said[0].text)
    assert first == {"turn 0", "turn 100", "turn 200"}
    history.close()
