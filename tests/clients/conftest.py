"""A server for stock clients: the fake speaker, told words with times, a small language model."""

from collections.abc import Iterator
from concurrent.futures import Future

import numpy as np
import pytest

from app.chat_endpoint import ChatEndpoint
from tests.app.language_model import language_model
from tests.app.live import engines, serving
from tests.app.stage import ToldRecognizer

HEARD = "hello there my friend"


class SureJudge:
    """Every pause ends a turn; @openai/agents asks for `semantic_vad`."""

    def judge(self, samples: np.ndarray) -> "Future[float]":
        future: Future[float] = Future()
        future.set_result(1.0)
        return future


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """The base URL that a client is given; nothing else is set but a key that is not looked at."""
    recognizer = ToldRecognizer(*[HEARD] * 100)
    recognizer.words = [(word, 0.2 * at, 0.2 * at + 0.2) for at, word in enumerate(HEARD.split())]
    with language_model() as (_, model_url):
        shared = engines(
            recognizer=recognizer,
            responders={"built-in": ChatEndpoint(model_url, "small")},
            judge=SureJudge(),
        )
        with serving(shared) as (place, _):
            yield f"http://{place}/v1"
