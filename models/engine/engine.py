"""The scheduler: a few threads per device run all replies, earliest deadline first.

A piece of work is a call, the start of a sentence, one step for all waiting slots, or one chunk
for several slots. Each thread repeatedly takes the work with the earliest deadline (Liu and
Layland 1973, section 7). Work not due within `HORIZON_S` has no deadline: steps then run before
chunks, so that chunks accumulate and are decoded as a batch.
"""

import atexit
import functools
import math
import os
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import torch

from models.engine.slot import Chunk, Slot, decode
from models.pipe import AbandonedError
from models.predictors.dialogue_model import DialogueModel
from models.predictors.steps import FrameStep

T = TypeVar("T")

# On a CPU, beyond these a step's latency grows more than throughput gains, and a new reply waits
# for a chunk too long. On a GPU they bound the memory of a batch.
MAX_STEPPED, GPU_MAX_STEPPED = 16, 512  # slots per step
MAX_CHUNKED, GPU_MAX_CHUNKED = 64, 4096  # frames per decoded batch
HORIZON_S = 2.0  # work due later than this has no deadline
_LOOK_S = 0.05  # interval at which a waiting caller checks `abandoned`
_CALL, _TASK, _STEP, _CHUNK = range(4)
_KINDS = ("call", "task", "step", "chunk")
_RUNNING: "weakref.WeakSet[Engine]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Stops all threads: one still inside PyTorch at interpreter exit would abort the process."""
    engines = list(_RUNNING)
    for engine in engines:
        engine.close()
    for engine in engines:
        engine.join(1.0)


@dataclass
class WorkCost:
    """Cost of one kind of work: CPU seconds of the threads, number of runs, and slots summed over
    the runs."""

    seconds: float = 0.0
    count: int = 0
    slots: int = 0


class Engine:
    """Owns the slots of a device; see the module.

    Attributes:
        costs: cost by kind of work: `call`, `task` (start of a sentence), `step`, `chunk`.

    Args:
        num_threads: worker threads; defaults to the number of cores.
        max_stepped: slots per step.
        max_chunked: frames per decoded batch.
    """

    def __init__(
        self,
        num_threads: int | None = None,
        max_stepped: int = MAX_STEPPED,
        max_chunked: int = MAX_CHUNKED,
    ) -> None:
        self._num_threads = num_threads or os.cpu_count() or 1
        self._max_stepped, self._max_chunked = max_stepped, max_chunked
        # Reentrant: the garbage collector may cancel a reply anywhere, inside this lock too.
        lock = threading.RLock()
        self._changed, self._quiet = threading.Condition(lock), threading.Condition(lock)
        self._slots: list[Slot] = []
        self._calls: list[_Call] = []
        self._stepping: set[DialogueModel] = set()
        self._threads: list[threading.Thread] = []
        self._num_idle = 0
        self._closed = False
        self._worked_at = -math.inf
        self.costs = {kind: WorkCost() for kind in _KINDS}

    @classmethod
    def on(cls, device: torch.device) -> "Engine":
        """The engine of a device; a GPU gets one thread and large batches."""
        return cls() if device.type == "cpu" else cls(1, GPU_MAX_STEPPED, GPU_MAX_CHUNKED)

    def submit(self, slot: Slot) -> None:
        """Queues a slot; it runs until it is complete, fails or is cancelled."""
        with self._changed:
            self._slots.append(slot)
            self._start()
            self._changed.notify()

    def wake(self) -> None:
        """Makes the engine look again after a slot's state changed from outside."""
        with self._changed:
            self._changed.notify()

    def cancel(self, slot: Slot) -> None:
        """Cancels a slot. Never blocks; may be called repeatedly and from any thread."""
        with self._changed:
            slot.cancel()
            self._settle(slot)

    def stop(self, slot: Slot) -> None:
        """Cancels a slot and waits until no thread is working on it."""
        with self._changed:
            self.cancel(slot)
            self._quiet.wait_for(lambda: not slot.busy)

    def call(
        self, work: Callable[[], T], due: float, abandoned: Callable[[], bool] = lambda: False
    ) -> T:
        """Runs `work` in a worker thread by its deadline and returns its result.

        Args:
            work: any function that uses the models; its exceptions are raised here.
            due: deadline on `time.perf_counter`.
            abandoned: whether the result is no longer needed.

        Raises:
            AbandonedError: `abandoned` became true before the work started, or the engine closed.
        """
        call = _Call(work, due)
        with self._changed:
            if self._closed:
                raise AbandonedError
            self._calls.append(call)
            self._start()
            self._changed.notify()
        while not call.done.wait(_LOOK_S):
            with self._changed:
                if call not in self._calls:
                    break
                if abandoned():
                    self._calls.remove(call)
                    raise AbandonedError
        call.done.wait()
        return call.result()

    def close(self) -> None:
        """Cancels all slots and lets the threads end after their current work."""
        with self._changed:
            self._closed = True
            for slot in tuple(self._slots):
                self.cancel(slot)
            self._changed.notify_all()

    def join(self, seconds: float) -> None:
        """Waits up to `seconds` for each thread to end."""
        for thread in self._threads:
            thread.join(seconds)

    @property
    def num_slots(self) -> int:
        """Number of slots in use."""
        return len(self._slots)

    @property
    def rested_s(self) -> float:
        """Seconds since it last finished some work; infinite before the first."""
        return time.perf_counter() - self._worked_at

    def _start(self) -> None:
        if self._threads or self._closed:
            return
        _RUNNING.add(self)
        for number in range(self._num_threads):
            name = f"engine-{number}"
            self._threads.append(threading.Thread(target=self._run, daemon=True, name=name))
            self._threads[-1].start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (work := self._next()) is None:
                    self._num_idle += 1
                    self._changed.wait()
                    self._num_idle -= 1
                if self._closed:
                    return
            self._do(work)
            del work  # it references slots, and through them models, while this thread waits

    def _do(self, work: "_Work") -> None:
        begun = time.thread_time()
        work.do()
        seconds = time.thread_time() - begun
        with self._changed:
            cost = self.costs[_KINDS[work.rank]]
            cost.seconds += seconds
            cost.count += 1
            cost.slots += work.num_slots
            self._worked_at = time.perf_counter()

    # Called with the lock held

    def _next(self) -> "_Work | None":
        """Claims the work with the earliest deadline, and wakes another thread if more is left."""
        wanted = self._wanted()
        if not wanted:
            return None
        _, rank, first = min(wanted, key=lambda each: each[:2])
        alike = [each for each in wanted if each[1] == rank]
        if self._num_idle and len(wanted) > 1:
            self._changed.notify()
        if isinstance(first, _Call):
            self._calls.remove(first)
            return _Work(_CALL, 1, first.run)
        slots = [slot for _, _, slot in sorted(alike, key=lambda each: each[0])]
        return self._begin(rank, first, [slot for slot in slots if isinstance(slot, Slot)])

    def _wanted(self) -> "list[tuple[float, int, Slot | _Call]]":
        """Runnable work as (deadline, kind, owner)."""
        wanted: list[tuple[float, int, Slot | _Call]] = [
            (call.due, _CALL, call) for call in self._calls
        ]
        horizon = time.perf_counter() + HORIZON_S

        def add(due: float, rank: int, slot: Slot) -> None:
            wanted.append((due if due < horizon else math.inf, rank, slot))

        for slot in tuple(self._slots):
            if slot.wants_work():
                add(slot.predict_due, _TASK, slot)
            elif slot.wants_step() and slot.model not in self._stepping:
                add(slot.predict_due, _STEP, slot)
            if slot.wants_decoding():
                add(slot.decode_due, _CHUNK, slot)
        return wanted

    def _begin(self, rank: int, first: Slot, slots: list[Slot]) -> "_Work":
        """Claims work for `first` and for those of `slots` that can share its batch."""
        if rank == _TASK:
            first.predicting = True
            return _Work(rank, 1, functools.partial(self._go_on, first))
        if rank == _STEP:
            model = first.model
            batch = [slot for slot in slots if slot.model is model][: self._max_stepped]
            self._stepping.add(model)
            for slot in batch:
                slot.predicting = True
            return _Work(rank, len(batch), functools.partial(self._step, model, batch))
        return self._begin_decoding(first, slots)

    def _begin_decoding(self, first: Slot, slots: list[Slot]) -> "_Work":
        """Claims the next chunk of `first` and the chunks of `slots` that match it in kind."""
        head = first.next_chunk()
        assert head is not None
        kind = first.chunk_kind(head)
        most = max(1, self._max_chunked // max(1, len(head.frames)))
        batch, chunks = [first], [head]
        for slot in slots:
            chunk = None if slot is first or len(batch) == most else slot.next_chunk()
            if chunk is not None and slot.chunk_kind(chunk) == kind:
                batch.append(slot)
                chunks.append(chunk)
        for slot, chunk in zip(batch, chunks, strict=True):
            slot.take(chunk)
        return _Work(_CHUNK, len(batch), functools.partial(self._decode, batch, chunks))

    def _settle(self, slot: Slot) -> None:
        """Frees a slot that is over once no thread is working on it."""
        if slot.over and not slot.busy:
            if slot in self._slots:
                self._slots.remove(slot)
            slot.free()
        self._quiet.notify_all()

    # Called in a worker thread, without the lock

    def _go_on(self, slot: Slot) -> None:
        try:
            slot.resume(None)
        except BaseException as error:
            slot.fail(error)
        with self._changed:
            slot.predicting = False
            self._settle(slot)

    def _step(self, model: DialogueModel, slots: list[Slot]) -> None:
        try:
            asked = [slot.asked for slot in slots if isinstance(slot.asked, FrameStep)]
            drawn = model.step(asked)
        except BaseException as error:
            for slot in slots:
                slot.fail(error)
        else:
            for slot, each in zip(slots, drawn, strict=True):
                try:
                    slot.resume(each)
                except BaseException as error:
                    slot.fail(error)
        with self._changed:
            self._stepping.discard(model)
            for slot in slots:
                slot.predicting = False
                self._settle(slot)

    def _decode(self, slots: list[Slot], chunks: list[Chunk]) -> None:
        try:
            made = decode(slots, chunks)
            for slot, samples, chunk in zip(slots, made, chunks, strict=True):
                slot.give(samples, chunk)
        except BaseException as error:
            for slot in slots:
                slot.fail(error)
        with self._changed:
            for slot in slots:
                slot.decoding = False
                self._settle(slot)


class _Work(NamedTuple):
    """Claimed work of one kind for one or more slots."""

    rank: int
    num_slots: int
    do: Callable[[], None]


class _Call(Generic[T]):
    """A function whose caller blocks until a worker thread has run it."""

    def __init__(self, work: Callable[[], T], due: float) -> None:
        self._work, self.due = work, due
        self.done = threading.Event()
        self._result: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as error:
            self._error = error
        self.done.set()

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return self._result[0]
