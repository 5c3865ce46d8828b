"""What is said: the script, and a language model's endpoint on this machine."""

from collections.abc import Iterator

import numpy as np
import pytest

from app.manner import Manner, measure_manner
from app.replies import ChatEndpoint, Said, messages_of
from app.scripted import ScriptedResponder, answer_to, name_in
from data.errors import RepError
from tests.app.language_model import LanguageModel, language_model
from tests.app.user_sound import speechlike


def talk(*texts: str) -> list[str]:
    history: list[Said] = []
    for text in texts:
        history.append(Said(0, text))
        history.append(Said(1, answer_to(history)))
    return [said.text for said in history if said.who]


def test_it_remembers_the_name() -> None:
    answers = talk("hello", "my name is anna", "i like music", "what is my name")
    assert answers[0] == "Hello. What is your name?"
    assert "Anna" in answers[1]
    assert answers[3] == "Your name is Anna. I remember."


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("my name is john", "John"),
        ("hello i'm mary", "Mary"),
        ("you can call me bob please", "Bob"),
        ("i am tired", ""),
        ("i'm going to work", ""),
        ("i am not sure", ""),
    ],
)
def test_names(text: str, name: str) -> None:
    assert name_in([text]) == name


def test_it_asks_back_and_does_not_repeat_itself() -> None:
    answers = talk(*["i like to cook dinner"] * 3)
    assert len(set(answers)) == 3
    assert all(answer.endswith("?") for answer in answers)


def test_it_says_what_it_is() -> None:
    assert "script" in talk("who are you")[0]
    assert "do not know" in talk("why is the sky blue")[0]


def test_it_reacts_to_the_manner() -> None:
    excited = Manner(200, 3, -20, 1, "excited")
    assert answer_to([Said(0, "i got the job", excited)]).startswith("Oh, you sound excited!")
    assert not answer_to([Said(0, "i got the job")]).startswith("Oh")


def test_the_pieces_join_to_the_answer() -> None:
    history = [Said(0, "who are you")]
    assert " ".join(ScriptedResponder().reply(history)) == answer_to(history)


def test_manner_is_measured() -> None:
    plain = measure_manner(speechlike(1.5, 120))
    assert abs(plain.f0_hz - 120) < 6
    assert plain.word == ""
    assert measure_manner(1.8 * speechlike(1.5, 175), [plain]).word == "excited"
    assert measure_manner(0.4 * speechlike(1.5, 95), [plain]).word == "low"
    assert measure_manner(np.zeros(24_000, np.float32)).f0_hz == 0


@pytest.fixture
def endpoint() -> Iterator[tuple[type[LanguageModel], str]]:
    with language_model() as found:
        yield found


def test_an_endpoint_is_streamed(endpoint: tuple[type[LanguageModel], str]) -> None:
    handler, url = endpoint
    chat = ChatEndpoint(url, "small", key="k")
    assert list(chat.reply([Said(0, "hi")])) == ["Hello ", "there."]
    assert handler.seen["model"] == "small"
    assert handler.seen["stream"] is True
    assert handler.seen["authorization"] == "Bearer k"
    assert handler.seen["messages"][-1] == {"role": "user", "content": "hi"}
    chat.close()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"broken", "answered 500"),
        (200, b"data: nonsense\n\n", "not a chat completion"),
        (200, b"data: [DONE]\n\n", "with nothing"),
        (200, b'data: {"choices": 3}\n\n', "not a chat completion"),
    ],
)
def test_an_endpoint_that_fails_says_so(
    endpoint: tuple[type[LanguageModel], str], status: int, body: bytes, message: str
) -> None:
    handler, url = endpoint
    handler.status, handler.pieces = status, [body]
    chat = ChatEndpoint(url, "small")
    with pytest.raises(RepError, match=message):
        list(chat.reply([Said(0, "hi")]))
    chat.close()


def test_an_endpoint_that_is_not_there_says_so() -> None:
    chat = ChatEndpoint("http://127.0.0.1:9/v1", "small")
    with pytest.raises(RepError, match="cannot be reached"):
        list(chat.reply([Said(0, "hi")]))
    chat.close()


def test_a_long_conversation_is_shortened_for_the_endpoint() -> None:
    history = [Said(index % 2, f"turn {index}") for index in range(200)]
    messages = messages_of(history)
    assert len(messages) < 50
    assert messages[-1]["content"] == "turn 199"
    assert messages[0]["role"] == "system"
