"""A reply begins at once where the machine is free, and with more in hand where it is not."""

import numpy as np

from app.answering import Answer
from app.metrics import Metrics
from app.speaking import Sound, Speaking


def answer(*chunks_s: float) -> Answer:
    made = Answer(1, lambda: 0.0)
    for seconds in chunks_s:
        made.put(np.zeros(round(seconds * 24_000), np.float32), lambda: None)
    return made


def sounds(made: Answer, metrics: Metrics) -> int:
    out: list[object] = []
    Speaking(made, 1, "slt", None, out.append, metrics).tick(0.0)
    return sum(isinstance(one, Sound) for one in out)


def test_alone_it_begins_with_what_there_is() -> None:
    assert sounds(answer(0.08), Metrics()) == 1


def test_beside_others_in_the_making_more_must_be_there() -> None:
    metrics = Metrics()
    others = [answer() for _ in range(3)]
    metrics.answers.update(others)
    assert sounds(answer(0.08), metrics) == 0
    metrics.answers.clear()
    metrics.answers.update(others)
    assert sounds(answer(0.60), metrics) == 1
    assert b"repartee_answers 3.0" in metrics.text()


def test_what_is_over_or_cancelled_does_not_count() -> None:
    metrics = Metrics()
    over, gone = answer(), answer()
    over.done = True
    gone.cancel()
    metrics.answers.update([over, gone])
    assert sounds(answer(0.08), metrics) == 1


def test_a_short_reply_is_not_held_back() -> None:
    metrics = Metrics()
    others = [answer() for _ in range(3)]
    metrics.answers.update(others)
    short = answer(0.08)
    short.done = True
    assert sounds(short, metrics) == 1


def test_beside_others_nobody_runs_far_ahead() -> None:
    """Who has enough waits, so that the machine is there for who has little."""
    metrics, other = Metrics(), answer()
    metrics.answers.add(other)
    made = answer(0.5, 0.5, 0.5, 0.5)
    assert made.in_the_making
    assert sounds(made, metrics) == 2  # a second
    assert made.crowded and not made.in_the_making
    other.done = True
    assert sounds(made, metrics) == 2
    assert made.in_the_making
