"""Judging answers: a model that knows the topics is right, one that ignores the audio is wrong."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from data.synthetic.answers import answer_to, topic_called
from models.evaluation.figures import Figure
from models.evaluation.panel import Panel
from models.evaluation.sets import questions
from models.evaluation.speech_to_speech import evaluate
from tests.models.evaluation.parrot import Parrot

pytestmark = pytest.mark.usefixtures("espeak_teacher")
NUM = 4


@dataclass
class FakeThought:
    text: str
    stopped: bool = True

    def __iter__(self):
        yield self.text


@dataclass
class Mind:
    """A thinker that answers `answer(samples)`."""

    answer: Callable[[np.ndarray], str]

    def exchange(self, who: int, text: str, samples: np.ndarray | None) -> np.ndarray | None:
        assert text == ""  # the question's text must not be passed on
        return samples

    def think(self, turns: list[np.ndarray], seed: int | None = None) -> FakeThought:
        return FakeThought(self.answer(turns[-1]))


class Listener(Parrot):
    def speak(self, dialogue, text, voice, options=None):
        return super().speak(dialogue, "".join(text), voice, options)


@pytest.fixture(scope="module")
def panel() -> Iterator[Panel]:
    with Panel(1, None) as judges:
        yield judges


def measured(panel: Panel, answer: Callable[[np.ndarray], str]) -> dict[str, Figure]:
    result = evaluate(Listener(), Mind(answer), lambda seed: seed, NUM, panel)
    return {figure.key: figure for figure in result.figures}


@pytest.fixture(scope="module")
def knowing(espeak_teacher: None, panel: Panel) -> dict[str, Figure]:
    known = {question.asked.samples.tobytes(): question for question in questions(NUM)}

    def answer(samples: np.ndarray) -> str:
        question = known[samples.tobytes()]
        topic = topic_called(question.topic)
        return answer_to(question.text, topic, random.Random(1), "test")

    return measured(panel, answer)


def test_a_model_that_knows_the_topics_is_right(knowing: dict[str, Figure]) -> None:
    assert knowing["topic"].value >= 75 and knowing["named"].value == 100
    assert knowing["topic_shuffled"].value <= 100 / NUM
    assert knowing["stopped"].value == 100 and knowing["stopped"].meets_bar
    assert knowing["first_audio_ms"].value > 0


def test_accurate_speech_loses_little(knowing: dict[str, Figure]) -> None:
    assert abs(knowing["streams_wer"].value) < 25
    assert knowing["wer"].teacher is not None


def test_an_empty_answer_is_counted_but_not_judged(panel: Panel) -> None:
    first = questions(NUM)[0].asked.samples.tobytes()
    found = measured(
        panel, lambda sound: "..." if sound.tobytes() == first else "I like the garden."
    )
    assert found["empty"].value == 100 / NUM
    assert found["wer"].num == NUM - 1 and found["first_audio_ms"].low > 0
    silent = measured(panel, lambda sound: "")
    assert silent["empty"].value == 100
    assert silent["streams_wer"].note == "nothing was said" and not silent["streams_wer"].meets_bar


def test_a_model_that_ignores_the_audio_is_wrong(panel: Panel) -> None:
    found = measured(panel, lambda samples: "The baker baked the onion.")
    assert found["topic"].value <= 100 / NUM and not found["topic"].meets_bar
    assert found["named"].value <= 100 / NUM
