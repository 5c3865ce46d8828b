"""A user turn from its first sample to its text."""

from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest

from app.endpointing import RingBuffer
from app.turn_recognition import TurnRecognition
from data.errors import RepError
from tests.app.stage import FakeRecognizer, FakeUtterance


@pytest.mark.parametrize("num_stretches", [1, 2, 5])
@pytest.mark.parametrize("is_open", [False, True])
def test_an_abort_cancels_every_stretch(num_stretches: int, is_open: bool) -> None:
    """Only the open one was aborted; recognition of earlier ones continued in vain."""
    recognizer, memory = FakeRecognizer(), RingBuffer(1.0)
    turn = TurnRecognition(0, 0, recognizer, memory)
    for index in range(num_stretches):
        memory.push(np.zeros(240, np.float32))
        turn.feed(240 * (index + 1))
        if index < num_stretches - 1 or not is_open:
            turn.pause(240 * (index + 1), 240 * (index + 1))
    turn.abort()
    assert [utterance.aborted for utterance in recognizer.opened] == [True] * num_stretches


class CannotOpen(FakeRecognizer):
    def open(self, *_: Any, **__: Any) -> FakeUtterance:
        raise RepError("the recogniser's process cannot be started")


def test_a_recogniser_that_cannot_open_fails_the_turn() -> None:
    memory = RingBuffer(1.0)
    turn = TurnRecognition(0, 0, CannotOpen(), memory)
    memory.push(np.zeros(240, np.float32))
    turn.feed(240)
    turn.pause(240, 240)
    turn.ended_at = 1.0
    assert turn.recognised
    assert "cannot be started" in str(turn.error)
    turn.abort()


def test_a_pending_text_is_not_an_error() -> None:
    class Waits(FakeRecognizer):
        future: Future[str] = Future()

        def open(self, *_: Any, **__: Any) -> FakeUtterance:
            utterance = super().open()
            utterance.finish = lambda: self.future  # type: ignore[method-assign]
            return utterance

    memory = RingBuffer(1.0)
    turn = TurnRecognition(0, 0, Waits(), memory)
    turn.feed(0)
    turn.pause(0, 0)
    turn.ended_at = 1.0
    assert not turn.recognised
    assert turn.error is None
    Waits.future.set_result("hello")
    assert turn.recognised
    assert turn.partial == "hello"
