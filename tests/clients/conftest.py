"""A server for stock clients: a fake speaker and recogniser, a small language model."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from app.access import AccessSettings
from app.chat_endpoint import ChatEndpoint
from app.server import ServerSettings
from tests.app.language_model import language_model
from tests.app.live import engines, serving
from tests.app.stage import FakeRecognizer

HEARD = "hello there my friend"


class SureJudge:
    """Every pause ends a turn; @openai/agents asks for `semantic_vad`."""

    def judge(self, samples: np.ndarray) -> "Future[float]":
        future: Future[float] = Future()
        future.set_result(1.0)
        return future

    def warm_up(self) -> None: ...


@contextlib.contextmanager
def served(origins: tuple[str, ...] = ()) -> Iterator[str]:
    """The base URL given to a client; nothing else is set but a key, which is ignored."""
    recognizer = FakeRecognizer(*[HEARD] * 100)
    recognizer.words = [(word, 0.2 * at, 0.2 * at + 0.2) for at, word in enumerate(HEARD.split())]
    with language_model() as (_, model_url):
        shared = engines(
            recognizer=recognizer,
            responders={"built-in": ChatEndpoint(model_url, "small")},
            judge=SureJudge(),
        )
        settings = ServerSettings(access=AccessSettings(origins=origins), page=False)
        with serving(shared, settings) as (place, _):
            yield f"http://{place}/v1"


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with served() as found:
        yield found


@pytest.fixture
def serve() -> Any:
    """Serves pages of some origins."""
    return served
