"""The scripted responder, and a local language model endpoint."""

import itertools
import random
from collections.abc import Iterator

import numpy as np
import pytest

from app.chat_endpoint import ChatEndpoint
from app.manner import Manner, measure_manner
from app.replies import CONTEXT_TOKENS, ChatMessage, ContextOptions, estimated_tokens, messages_of
from app.scripted import ScriptedResponder, answer_to, name_in
from data.errors import RepError
from data.limits import MAX_CONTEXT_TURNS
from tests.app.language_model import LanguageModel, event, language_model
from tests.app.user_sound import speechlike

PLAIN = Manner(150, 2, -20, 1)


def talk(*texts: str, manner: Manner | None = None) -> list[str]:
    history: list[ChatMessage] = []
    for text in texts:
        history.append(ChatMessage(0, text, manner))
        history.append(ChatMessage(1, answer_to(history)))
    return [said.text for said in history if said.who]


def test_it_remembers_the_name() -> None:
    answers = talk("hello", "my name is anna", "i like music", "what is my name")
    assert answers[0] == "Hello. What is your name?"
    assert "Anna" in answers[1]
    assert answers[3] == "Your name is Anna. I remember."
    assert talk("hello", "john", "what is my name")[2] == "Your name is John. I remember."
    assert "not told me" in talk("hello", "yes", "what is my name")[2]


def test_a_topic_continues_and_returns() -> None:
    answers = talk("i went to work", "the people there", "i like soup", "and then work again")
    assert "do you like best about yours" in answers[0]
    assert "when the work is done" in answers[1]
    assert "I cannot taste" in answers[2]
    assert "about work before" in answers[3]


def test_a_no_offers_another_topic_each_time() -> None:
    answers = talk("hi", "my name is mary", *["no"] * 5)[2:]
    assert len({answer.partition(" about ")[2] for answer in answers}) == 5


def test_unclear_speech_is_confirmed_but_typed_words_are_not() -> None:
    odd = ("the furthest to cut that off", "no")
    asked, sorry = talk(*odd, manner=PLAIN)
    assert odd[0] in asked and asked.endswith("?")
    assert "heard it wrong" in sorry
    assert odd[0] not in talk(odd[0])[0]
    assert len(set(talk("", "", "", manner=PLAIN))) == 3


def test_everything_is_answered_with_few_repetitions() -> None:
    """Random words, as from a bad recogniser: forty turns, each answered."""
    words = "the of a house not cut and they send is it off two get when rain my sister go".split()
    rng = random.Random(5)
    texts = [" ".join(rng.choices(words, k=rng.randint(0, 8))) for _ in range(40)]
    answers = talk(*texts, manner=PLAIN)
    assert all(answer.endswith((".", "?", "!")) for answer in answers)
    assert len(set(answers[:12])) == 12
    assert all(one != other for one, other in itertools.pairwise(answers))


def test_bad_news_is_met_with_comfort() -> None:
    answer = talk("i have a dog", "my cat died")[1]
    assert "sorry" in answer and "What is yours like" not in answer


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


def test_it_asks_questions_and_does_not_repeat_itself() -> None:
    answers = talk(*["i like to cook dinner"] * 3)
    assert len(set(answers)) == 3
    assert all(answer.endswith("?") for answer in answers)


def test_it_says_what_it_is() -> None:
    assert "script" in talk("who are you")[0]
    assert "do not know" in talk("why is the sky blue")[0]


def test_it_reacts_to_the_manner() -> None:
    excited = Manner(200, 3, -20, 1, "excited")
    assert answer_to([ChatMessage(0, "i got the job", excited)]).startswith(
        "Oh, you sound excited!"
    )
    assert "all about it" in answer_to([ChatMessage(0, "i got the job", excited)])
    assert not answer_to([ChatMessage(0, "i got the job")]).startswith("Oh")


def test_streamed_pieces_join_to_the_answer() -> None:
    history = [ChatMessage(0, "who are you")]
    assert " ".join(ScriptedResponder().reply(history)) == answer_to(history)


def test_manner_is_measured() -> None:
    plain = measure_manner(speechlike(1.5, 120))
    assert abs(plain.f0_hz - 120) < 6
    assert plain.word == ""
    assert measure_manner(1.8 * speechlike(1.5, 175), [plain]).word == "excited"
    assert measure_manner(0.4 * speechlike(1.5, 95), [plain]).word == "low"
    assert measure_manner(np.zeros(24_000, np.float32)).f0_hz == 0


def test_a_language_model_is_told_what_is_unusual_about_a_voice() -> None:
    text = "no one ran along a long lane"
    plain = [measure_manner(speechlike(1.5, 120), (), text)] * 3
    assert plain[0].rate > 0
    assert measure_manner(speechlike(1.5, 120), plain, text).tag == ""
    raised = measure_manner(2.0 * speechlike(1.5, 160), plain, text + " " + text)
    assert raised.tag == "spoken higher, faster, louder than usual, sounding excited"
    soft = measure_manner(0.4 * speechlike(1.5, 120), plain, "no one ran along")
    assert soft.tag == "spoken slower, softer than usual"
    said = [ChatMessage(0, "I got it", raised)]
    assert messages_of(said)[1]["content"] == f"I got it ({raised.tag})"
    options = ContextOptions(tells_manner=False)
    assert messages_of(said, None, options)[1]["content"] == "I got it"
    mandarin = measure_manner(speechlike(1.5, 120), (), "今天天气很好")
    assert mandarin.rate == pytest.approx(6 / mandarin.voiced_s)


@pytest.fixture
def endpoint() -> Iterator[tuple[type[LanguageModel], str]]:
    with language_model() as found:
        yield found


def test_an_endpoint_is_streamed(endpoint: tuple[type[LanguageModel], str]) -> None:
    handler, url = endpoint
    chat = ChatEndpoint(url, "small", key="k")
    assert list(chat.reply([ChatMessage(0, "hi")])) == ["Hello ", "there."]
    assert handler.seen["model"] == "small"
    assert handler.seen["stream"] is True
    assert handler.seen["authorization"] == "Bearer k"
    assert handler.seen["messages"][-1] == {"role": "user", "content": "hi"}
    chat.close()


def test_reasoning_of_the_language_model_is_removed(
    endpoint: tuple[type[LanguageModel], str],
) -> None:
    handler, url = endpoint
    pieces = (
        "<thi",
        "nk>\nHe greets me. ",
        "So do I.\n</thi",
        "nk>\n\nHello ",
        "there \ud83d",
        "\ude00",
    )
    handler.pieces = [*map(event, pieces), b"data: [DONE]\n\n"]
    chat = ChatEndpoint(url, "small")
    assert "".join(chat.reply([ChatMessage(0, "hi")])) == "Hello there 😀"
    handler.pieces = [event("<think>He greets me, so"), b"data: [DONE]\n\n"]
    with pytest.raises(RepError, match="an empty answer"):
        list(chat.reply([ChatMessage(0, "hi")]))
    chat.close()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"broken", "answered 500"),
        (200, b"data: nonsense\n\n", "not a chat completion"),
        (200, b"data: [DONE]\n\n", "an empty answer"),
        (200, b'data: {"choices": 3}\n\n', "not a chat completion"),
    ],
)
def test_a_failing_endpoint_is_reported(
    endpoint: tuple[type[LanguageModel], str], status: int, body: bytes, message: str
) -> None:
    handler, url = endpoint
    handler.status, handler.pieces = status, [body]
    chat = ChatEndpoint(url, "small")
    with pytest.raises(RepError, match=message):
        list(chat.reply([ChatMessage(0, "hi")]))
    chat.close()


def test_a_missing_endpoint_is_reported() -> None:
    chat = ChatEndpoint("http://127.0.0.1:9/v1", "small")
    with pytest.raises(RepError, match="is unreachable"):
        list(chat.reply([ChatMessage(0, "hi")]))
    chat.close()


@pytest.mark.parametrize("length", [300, 1000, 4096, 9000, 16_384])
def test_the_endpoint_gets_a_limited_context(length: int) -> None:
    history = [ChatMessage(index % 2, "x" * length) for index in range(60)]
    texts = [message["content"] for message in messages_of(history)[1:]]
    assert len(texts) == 1 or sum(map(estimated_tokens, texts)) <= CONTEXT_TOKENS
    assert len(texts) >= max(1, (CONTEXT_TOKENS - 150) // (length // 4 + 10))


def test_a_long_conversation_is_shortened_for_the_endpoint() -> None:
    history = [ChatMessage(index % 2, f"turn {index}") for index in range(200)]
    messages = messages_of(history)
    assert len(messages) == MAX_CONTEXT_TURNS + 1
    assert messages[-1]["content"] == "turn 199"
    assert messages[0]["role"] == "system"
