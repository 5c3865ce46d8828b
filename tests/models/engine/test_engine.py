"""Slots share steps and chunks by earliest deadline; none waits for one that has left."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from models.delivery.delivery import NEUTRAL
from models.engine.engine import Engine
from models.engine.slot import Slot, Task, Wait
from models.pipe import AbandonedError
from models.predictors.steps import FrameStep, SampledFrame
from models.vocoder.renderers import LatentFrames
from models.vocoder.synthesis import Synthesis
from tests.tiny import STYLE, tiny

DECODER, RENDERER = tiny("decoder"), LatentFrames()


class Model:
    """Records which slots share a step; a frame is a latent with its slot's number."""

    def __init__(self, wrong: object = None) -> None:
        self.batches: list[list[Any]] = []
        self.wrong = wrong
        self.stuck = threading.Event()
        self.stuck.set()

    def step(self, steps: list[FrameStep]) -> list[SampledFrame]:
        self.stuck.wait(10)
        numbers = [step.state for step in steps]
        self.batches.append(numbers)
        if self.wrong in numbers:
            raise ArithmeticError("this step fails")
        return [SampledFrame(torch.full((8,), 0.01 * n), torch.ones(5)) for n in numbers]  # type: ignore[operator]

    def stack_frames(self, frames: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(frames) if frames else torch.zeros(0, 8)


def asked(number: int) -> FrameStep:
    nothing: Any = None
    return FrameStep(number, None, nothing, nothing, nothing, nothing, [])  # type: ignore[arg-type]


def slot_of(
    model: Any,
    number: int,
    num_frames: int = 1,
    between: Callable[[], Any] = lambda: None,
    streamed: bool = True,
) -> Slot:
    """A slot whose task requests `num_frames` and calls `between` after each; deadlines follow the
    slot's number."""

    def stream() -> Synthesis:
        return Synthesis(RENDERER, DECODER, torch.zeros(STYLE), NEUTRAL, 0.2)

    slot = Slot(model, stream, lambda: True, streamed)

    def task() -> Task:
        slot.open_stream()
        for _ in range(num_frames):
            drawn = yield asked(number)
            assert drawn is not None
            slot.send([(drawn.frame, torch.ones(3, dtype=torch.long), NEUTRAL)])
            if (pause := between()) is not None:
                yield pause

    slot.begin(task())
    slot.started = float(number)
    return slot


@contextlib.contextmanager
def held(engine: Engine) -> Iterator[None]:
    """Keeps the engine's threads busy."""
    begun, over = threading.Semaphore(0), threading.Event()

    def work() -> None:
        begun.release()
        over.wait(60)

    args = (work, -1.0)
    calls = [threading.Thread(target=engine.call, args=args) for _ in range(engine._num_threads)]
    for call in calls:
        call.start()
        assert begun.acquire(timeout=30)
    try:
        yield
    finally:
        over.set()
        for call in calls:
            call.join(5)


def finished(slot: Slot, within_s: float = 30.0) -> bool:
    deadline = time.monotonic() + within_s
    while not slot.over and time.monotonic() < deadline:
        time.sleep(0.002)
    return slot.complete


def empty(engine: Engine, within_s: float = 30.0) -> bool:
    deadline = time.monotonic() + within_s
    while engine.num_slots and time.monotonic() < deadline:
        time.sleep(0.002)
    return engine.num_slots == 0


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(1, max_stepped=8)
    yield engine
    engine.close()
    engine.join(5)
    assert not any(thread.is_alive() for thread in engine._threads)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 11])
def test_waiting_slots_share_steps_by_deadline(count: int, engine: Engine) -> None:
    model = Model()
    slots = [slot_of(model, number) for number in range(count)]
    with held(engine):
        for slot in reversed(slots):
            slot.resume(None)
            engine.submit(slot)
    assert all(finished(slot) for slot in slots) and empty(engine)
    assert sum(len(batch) for batch in model.batches) == count
    assert model.batches[0] == list(range(min(count, 8)))


@pytest.mark.parametrize("streamed", [True, False])
def test_unstreamed_replies_are_decoded_in_batches(streamed: bool, engine: Engine) -> None:
    """Streamed replies decode their first frames at once; otherwise all steps come first."""
    model, chunks = Model(), list[int]()
    slots = [slot_of(model, number, 5 + number % 2, streamed=streamed) for number in range(4)]
    begin = engine._begin_decoding

    def noted(first: Slot, waiting: list[Slot]) -> Any:
        chunks.append(len(model.batches))
        return begin(first, waiting)

    engine._begin_decoding = noted  # type: ignore[method-assign]
    with held(engine):
        for slot in slots:
            slot.resume(None)
            engine.submit(slot)
    assert all(finished(slot) for slot in slots) and empty(engine)
    if streamed:
        assert chunks[0] == 2 and engine.costs["chunk"].slots > 4
    else:
        assert chunks == [6, 6] and engine.costs["chunk"].slots == 4


def test_streamed_replies_take_precedence(engine: Engine) -> None:
    model = Model()
    unstreamed = [slot_of(model, number, 30, streamed=False) for number in range(3)]
    streamed = slot_of(model, 9, 2)
    with held(engine):
        for slot in (*unstreamed, streamed):
            slot.resume(None)
            engine.submit(slot)
    assert finished(streamed)
    assert not any(slot.complete for slot in unstreamed)
    assert all(finished(slot) for slot in unstreamed)


def test_predictors_do_not_share_steps(engine: Engine) -> None:
    one, other = Model(), Model()
    slots = [slot_of(other if number % 2 else one, number) for number in range(6)]
    with held(engine):
        for slot in slots:
            slot.resume(None)
            engine.submit(slot)
    assert all(finished(slot) for slot in slots)
    assert [sorted(batch) for batch in one.batches] == [[0, 2, 4]]
    assert [sorted(batch) for batch in other.batches] == [[1, 3, 5]]


def test_late_slots_join_the_next_step(engine: Engine) -> None:
    model = Model()
    model.stuck.clear()
    slots = [slot_of(model, number, num_frames=3) for number in range(3)]
    engine.submit(slots[0])
    while not slots[0].predicting or not isinstance(slots[0].asked, FrameStep):
        time.sleep(0.001)
    for slot in slots[1:]:
        engine.submit(slot)
    model.stuck.set()
    assert all(finished(slot) for slot in slots)
    assert model.batches[0] == [0] and max(len(batch) for batch in model.batches) > 1


@pytest.mark.parametrize("num_threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 5])
def test_chunks_are_whole_and_in_order(num_threads: int, count: int) -> None:
    engine, model = Engine(num_threads), Model()
    slots = [slot_of(model, number, num_frames=40 + 3 * number) for number in range(count)]
    for slot in slots:
        engine.submit(slot)
    for number, slot in enumerate(slots):
        chunks = []
        while (chunk := slot.receive()) is not None:
            chunks.append(len(chunk))
        assert sum(chunks) == 960 * (40 + 3 * number)
        assert chunks[:4] == [960, 960 * 2, 960 * 4, 960 * 7] or chunks[0] == 960
    assert empty(engine)
    engine.close()


@pytest.mark.parametrize("silences", [[(0, 5)], [(3, 1)], [(2, 4), (2, 3)], [(20, 2), (1, 30)]])
@pytest.mark.parametrize("count", [1, 3])
def test_silences_between_streams(silences: list[tuple[int, int]], count: int) -> None:
    """(frames before it, frames of silence) of each; three frames follow the last."""
    engine, model = Engine(2), Model()
    slots = []
    for number in range(1, count + 1):
        slot = slot_of(model, number)

        def task(slot: Slot = slot, number: int = number) -> Task:
            slot.open_stream()
            for frames, silence in [*silences, (3, 0)]:
                for _ in range(frames):
                    drawn = yield asked(number)
                    assert drawn is not None
                    slot.send([(drawn.frame, torch.ones(3, dtype=torch.long), NEUTRAL)])
                if silence:
                    slot.pause(silence)

        slot.begin(task())
        slots.append(slot)
        engine.submit(slot)
    for slot in slots:
        chunks = []
        while (chunk := slot.receive()) is not None:
            chunks.append(chunk)
        samples, place = np.concatenate(chunks), 0
        assert len(samples) == 960 * (3 + sum(map(sum, silences)))
        for frames, silence in silences:
            place += 960 * frames
            assert not samples[place : place + 960 * silence].any()
            place += 960 * silence
            assert samples[place : place + 960].any()
    engine.close()


def untouched(engine: Engine, model: Model, slot: Slot) -> None:
    """Waits for a thread."""
    engine.submit(slot)


def stepping(engine: Engine, model: Model, slot: Slot) -> None:
    model.stuck.clear()
    engine.submit(slot)
    while not (slot.predicting and isinstance(slot.asked, FrameStep)):
        time.sleep(0.001)


def waiting_for_text(engine: Engine, model: Model, slot: Slot) -> None:
    slot.has_text = lambda: False
    engine.submit(slot)
    while slot.asked is not Wait.TEXT:
        time.sleep(0.001)


def without_room(engine: Engine, model: Model, slot: Slot) -> None:
    engine.submit(slot)
    while slot.has_room:
        time.sleep(0.001)


def complete(engine: Engine, model: Model, slot: Slot) -> None:
    engine.submit(slot)
    while not slot.over:
        time.sleep(0.001)


def failed(engine: Engine, model: Model, slot: Slot) -> None:
    model.wrong = 5
    complete(engine, model, slot)
    model.wrong = None


@pytest.mark.parametrize(
    "state", [untouched, stepping, waiting_for_text, without_room, complete, failed]
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_slot_can_be_cancelled_in_any_state(
    state: Callable[..., None], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.engine.slot.AHEAD_FRAMES", 20)
    engine, model = Engine(2), Model()
    pause = Wait.TEXT if state is waiting_for_text else None
    frames = 3 if state is complete else 100
    slot = slot_of(model, 5, num_frames=frames, between=lambda: pause)
    state(engine, model, slot)
    began = time.perf_counter()
    for _ in range(times):
        engine.cancel(slot)
    assert time.perf_counter() - began < 2  # it is stuck for ten
    model.stuck.set()
    engine.stop(slot)
    assert not slot.busy and empty(engine)
    other = slot_of(model, 6, num_frames=5)
    engine.submit(other)
    assert finished(other)
    count = len([batch for batch in model.batches if 5 in batch])
    time.sleep(0.02)
    assert count == len([batch for batch in model.batches if 5 in batch])
    engine.close()


@pytest.mark.parametrize("where", ["step", "task", "decode"])
def test_a_failure_ends_its_slot_alone(where: str, engine: Engine) -> None:
    model = Model(wrong=2 if where == "step" else None)

    def wrong() -> None:
        if where == "task":
            raise ArithmeticError("this task fails")

    slot = slot_of(model, 2, num_frames=4, between=wrong)
    if where == "decode":
        model.stack_frames = lambda frames: torch.zeros(len(frames), 7)  # of another size  # type: ignore[method-assign]
    engine.submit(slot)
    assert not finished(slot) and slot.error is not None and empty(engine)
    model.wrong = None
    other = slot_of(Model(), 3)
    engine.submit(other)
    assert finished(other)


def test_a_failed_step_ends_all_slots_that_shared_it(engine: Engine) -> None:
    model = Model(wrong=2)
    slots = [slot_of(model, number) for number in range(4)]
    with held(engine):
        for slot in slots:
            slot.resume(None)
            engine.submit(slot)
    for slot in slots:
        finished(slot)
        assert isinstance(slot.error, ArithmeticError)


def test_calls_run_by_deadline(engine: Engine) -> None:
    done: list[float] = []
    dues = [5.0, 2.0, 9.0, 1.0, 7.0]
    with held(engine):
        threads = [
            threading.Thread(target=engine.call, args=(lambda due=due: done.append(due), due))
            for due in dues
        ]
        for number, thread in enumerate(threads):
            thread.start()
            while len(engine._calls) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join(5)
    assert done == sorted(dues)
    assert engine.call(lambda: 7, 0.0) == 7
    with pytest.raises(ZeroDivisionError):
        engine.call(lambda: 1 / 0, 0.0)


def test_an_abandoned_call_is_not_started(engine: Engine) -> None:
    with held(engine), pytest.raises(AbandonedError):
        engine.call(lambda: pytest.fail("it was done"), 0.0, lambda: True)
    assert not engine._calls


@pytest.mark.parametrize("buffered_s", [1.5, None])
def test_earliest_deadline_first(buffered_s: float | None, engine: Engine) -> None:
    """One about to underrun comes before one with seconds of buffered audio, and a new one."""
    order = list[int]()
    other = slot_of(Model(), 1, num_frames=6, between=lambda: order.append(1))
    late = slot_of(Model(), 2, num_frames=6, between=lambda: order.append(2))
    with held(engine):
        other.started = now = time.perf_counter()
        other.heard_since = buffered_s and now + buffered_s
        late.heard_since = now + 0.1
        engine.submit(other)
        engine.submit(late)
    assert finished(other) and finished(late)
    assert order[0] == 2


def test_closing_an_engine_ends_its_work() -> None:
    engine, model = Engine(2), Model()
    slot = slot_of(model, 1, num_frames=100_000)
    engine.submit(slot)
    engine.close()
    engine.join(5)
    assert slot.cancelled and engine.num_slots == 0
    with pytest.raises(AbandonedError):
        engine.call(lambda: None, 0.0)
