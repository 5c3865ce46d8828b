"""A reply starts at once on an idle machine, and with a larger buffer on a busy one."""

import numpy as np

from app.active_reply import ActiveReply, AudioChunk
from app.answering import Answer
from app.metrics import Metrics


def answer(seconds: float) -> Answer:
    made = Answer(1, lambda: 0.0)
    if seconds:
        made.put(np.zeros(round(seconds * 24_000), np.float32), lambda: None)
    return made


def sounds(made: Answer, metrics: Metrics) -> int:
    out: list[object] = []
    ActiveReply(made, 1, "slt", None, out.append, metrics).tick(0.0)
    return sum(isinstance(one, AudioChunk) for one in out)


def test_on_an_idle_machine_it_starts_at_once() -> None:
    assert sounds(answer(0.08), Metrics()) == 1


def test_it_waits_for_the_pages_minimum_buffer() -> None:
    assert sounds(answer(0.04), Metrics()) == 0


def test_concurrent_replies_require_a_larger_buffer() -> None:
    metrics = Metrics()
    others = [answer(0.0) for _ in range(3)]
    metrics.answers.update(others)
    assert sounds(answer(0.08), metrics) == 0
    assert sounds(answer(0.64), metrics) == 1
    assert b"repartee_answers 3.0" in metrics.text()


def test_finished_and_cancelled_replies_do_not_count() -> None:
    metrics = Metrics()
    over, gone = answer(0.0), answer(0.0)
    over.done = True
    gone.cancel()
    metrics.answers.update([over, gone])
    assert sounds(answer(0.08), metrics) == 1


def test_a_short_reply_is_not_delayed() -> None:
    metrics = Metrics()
    others = [answer(0.0) for _ in range(3)]
    metrics.answers.update(others)
    short = answer(0.08)
    short.done = True
    assert sounds(short, metrics) == 1
