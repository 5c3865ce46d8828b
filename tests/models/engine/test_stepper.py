"""Replies that step together: each says what it says alone, and none waits for one that left."""

import threading
import time
from typing import Any

import numpy as np
import pytest
import torch

from models.engine import stepper as stepping
from models.engine.stepper import Stepper
from models.predictors.steps import FrameDrawn
from models.reply import Reply
from models.schedule import Schedule, UnwantedError
from models.speaker import Speaker, SpeakOptions
from tests.tiny import tiny_speaker

TEXTS = (
    "The train was late. We waited near the old bridge.",
    "Yes.",
    "I see. That must have been a long and difficult day for you.",
    "No, the baker is in.",
    "There are three good reasons to stay, and I will tell you all of them. Then we go.",
    "Where were you? I was here.",
)


class Model:
    """Says who was stepped with whom."""

    def __init__(self, wrong: object = None) -> None:
        self.batches: list[list[Any]] = []
        self.wrong = wrong

    def step(self, steps: list[Any]) -> list[FrameDrawn]:
        self.batches.append(steps)
        if self.wrong in steps:
            raise ArithmeticError("this step fails")
        return [FrameDrawn(step, torch.ones(5)) for step in steps]


class Asking:
    """Steps that are asked for in threads of their own, while the only place is taken."""

    def __init__(self, model: Any, others: Any = None) -> None:
        self.schedule = Schedule(slots=1)
        self.stepper = Stepper(self.schedule)
        self.models = [model, others or model]
        self.found: dict[int, object] = {}
        self.threads: list[threading.Thread] = []
        self.gone: set[int] = set()
        self.schedule._enter(0.0, lambda: False)

    def ask(self, number: int, due: float, other: bool = False) -> None:
        def work() -> None:
            model = self.models[other]
            try:
                drawn = self.stepper.step(model, number, due, lambda: number in self.gone)  # type: ignore[arg-type]
                self.found[number] = drawn.frame
            except Exception as error:
                self.found[number] = error

        before = len(self.stepper._waiting)
        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()
        while len(self.stepper._waiting) == before:
            time.sleep(0.001)

    def go(self) -> None:
        self.schedule._leave()
        for thread in self.threads:
            thread.join(5)
            assert not thread.is_alive()
        assert not self.stepper._waiting and not self.stepper._stepping
        assert self.schedule._free == 1


def test_one_alone_steps_in_its_own_thread() -> None:
    model, threads = Model(), threading.active_count()
    stepper = Stepper(Schedule(slots=1))
    assert [stepper.step(model, n, 0.0).frame for n in range(3)] == [0, 1, 2]  # type: ignore[arg-type]
    assert model.batches == [[0], [1], [2]]
    assert threading.active_count() == threads


@pytest.mark.parametrize("count", [2, 5, 16, 19])
def test_those_that_wait_step_together_the_soonest_due_first(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "MAX_SLOTS", 8)
    model = Model()
    asking = Asking(model)
    for number in range(count):
        asking.ask(number, due=float(count - number))
    asking.go()
    assert asking.found == {number: number for number in range(count)}
    assert max(len(batch) for batch in model.batches) == min(count, 8)
    assert model.batches[0][1:] == list(range(count - 1, max(0, count - 8), -1))
    assert sum(len(batch) for batch in model.batches) == count


def test_predictors_do_not_step_together() -> None:
    one, other = Model(), Model()
    asking = Asking(one, other)
    for number in range(6):
        asking.ask(number, float(number), other=number % 2 == 1)
    asking.go()
    assert [sorted(batch) for batch in one.batches] == [[0, 2, 4]]
    assert [sorted(batch) for batch in other.batches] == [[1, 3, 5]]


@pytest.mark.parametrize("gone", [{0}, {2}, {1, 3}, {0, 1, 2, 3}])
def test_whoever_is_called_off_leaves_the_others_alone(gone: set[int]) -> None:
    """The first of them leads; when it goes another does."""
    model = Model()
    asking = Asking(model)
    for number in range(4):
        asking.ask(number, float(number))
    asking.gone = gone
    deadline = time.monotonic() + 2
    while not gone <= set(asking.found) and time.monotonic() < deadline:
        time.sleep(0.005)
    asking.go()
    for number in range(4):
        found = asking.found[number]
        assert isinstance(found, UnwantedError) if number in gone else found == number
    assert gone.isdisjoint(number for batch in model.batches for number in batch)


def test_a_failure_reaches_those_it_concerns_and_the_next_go_on() -> None:
    model = Model(wrong=2)
    asking = Asking(model)
    for number in range(4):
        asking.ask(number, float(number))
    asking.go()
    assert all(isinstance(asking.found[number], ArithmeticError) for number in range(4))
    assert asking.stepper.step(model, 9, 0.0).frame == 9  # type: ignore[arg-type]


def begun(speaker: Speaker, number: int) -> Reply:
    dialogue = speaker.open_dialogue()
    for turn in range(number % 3):
        speaker.hear(dialogue, 0, TEXTS[turn], None)
    voice = speaker.voices["one" if number % 2 else "two"]
    options = SpeakOptions(seed=number, temperature=0.2 * (number % 2))
    return speaker.speak(dialogue, TEXTS[number], voice, options)


def test_replies_together_are_what_they_are_alone(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 1 % of the sound: phases sum up what rounding leaves in an F0."""
    alone = [np.concatenate(list(begun(speaker, number))) for number in range(len(TEXTS))]
    model, sizes = speaker.open_dialogue().model, list[int]()
    step = model.step

    def counted(steps: list[Any]) -> list[FrameDrawn]:
        sizes.append(len(steps))
        return step(steps)

    monkeypatch.setattr(model, "step", counted)
    replies = [begun(speaker, number) for number in range(len(TEXTS))]
    for reply, expected in zip(replies, alone, strict=True):
        made = np.concatenate(list(reply))
        assert len(made) == len(expected)
        assert np.linalg.norm(made - expected) < 0.01 * np.linalg.norm(expected)
    assert max(sizes) > 1


def test_those_who_leave_do_not_hold_up_the_others() -> None:
    speaker = tiny_speaker("gpt-talker")
    expected = np.concatenate(list(begun(speaker, 4)))
    staying = begun(speaker, 4)
    for number in range(12):
        begun(speaker, number % 4).cancel()
    np.testing.assert_allclose(np.concatenate(list(staying)), expected, atol=1e-3)
