"""Decode steps of many dialogues at once, in shapes so few that each can be a CUDA graph."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from models.kv_cache import KeyValues, KVPool

logger = logging.getLogger(__name__)

BATCH_SIZES = (1, 8, 32, 128, 512)  # a batch is padded to the next of these
LENGTHS = (256, 512, 1024)  # positions that a step reads, or else the pool's capacity
# Largest difference of a graph's first result from the eager one, relative to the largest value.
# The operations are the same; libraries may choose another algorithm while they are captured.
TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 2e-2}

RowStep = Callable[[Tensor, Tensor, int], Tensor]  # `Transformer.step_rows` of a pool
# Records work; returns what repeats it, and the tensor that then holds its result.
Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], None], Tensor]]


@dataclass(frozen=True)
class StepGraph:
    """A captured step with its static inputs and output.

    Attributes:
        x: inputs `[size, dim]`.
        numbers: rows, positions and lengths, `[3, size]`.
        made: hidden states `[size, dim]`.
        replay: computes `made` from the inputs.
    """

    x: Tensor
    numbers: Tensor
    made: Tensor
    replay: Callable[[], None]


class PooledStep:
    """Steps the dialogues of a pool; with `capture` by graphs, recorded at the first use of a size.

    A graph's first result is compared with the eager one. If capturing fails or the results
    differ, one warning says so, and all steps run eagerly from then on.

    Args:
        pool: the caches.
        step: the step with static shapes. Repeating it must do no harm: it writes the same keys
            and values again.
        capture: records a graph; None: every step runs eagerly.
    """

    def __init__(self, pool: KVPool, step: RowStep, capture: Capture | None = None) -> None:
        self.pool, self._step, self._capture = pool, step, capture
        self._limits = (*(each for each in LENGTHS if each < pool.capacity), pool.capacity)
        self._graphs: dict[tuple[int, int], StepGraph] = {}
        self._failure = "" if capture else "not on this device"
        self._lock = threading.Lock()  # graphs share their memory and their inputs

    @property
    def status(self) -> str:
        """Whether graphs are in use, and for which batch sizes."""
        if self._capture is None:
            return f"off: {self._failure}"
        sizes = ", ".join(map(str, sorted({size for size, _ in self._graphs})))
        return f"on: {len(self._graphs)} captured, for batches of {sizes or 'no size yet'}"

    def holds(self, past: list[KeyValues]) -> bool:
        """Whether a dialogue is in the pool and has room for one more position there."""
        return past[0].row is not None and past[0].length < self.pool.capacity

    @torch.inference_mode()
    def __call__(self, x: Tensor, positions: list[int], pasts: list[list[KeyValues]]) -> Tensor:
        """A decode step of B dialogues that the pool holds, `[B, dim]` to `[B, dim]`; see
        `Transformer.step`."""
        most = BATCH_SIZES[-1]
        made = [
            self._batch(x[begin : begin + most], positions[begin:][:most], pasts[begin:][:most])
            for begin in range(0, len(x), most)
        ]
        return made[0] if len(made) == 1 else torch.cat(made)

    def _batch(self, x: Tensor, positions: list[int], pasts: list[list[KeyValues]]) -> Tensor:
        count, lengths = len(pasts), [past[0].length for past in pasts]
        rows = [past[0].row.index for past in pasts if past[0].row is not None]
        assert len(rows) == count
        limit = next(each for each in self._limits if each > max(lengths))
        for past in pasts:
            for cache in past:
                cache.length += 1
        numbers = torch.tensor([rows, positions, lengths])
        if self._capture is None:
            return self._step(x, numbers.to(x.device, non_blocking=True), limit)
        size = next(each for each in BATCH_SIZES if each >= count)
        # The padding is a dialogue of one position, in the scratch row.
        padding = torch.tensor([self.pool.scratch, 0, 0])[:, None].expand(-1, size - count)
        numbers = torch.cat([numbers, padding], dim=1)
        with self._lock:
            graph = self._graphs.get((size, limit))
            if graph is None:
                return self._first(x, numbers.to(x.device), limit)
            graph.x[:count].copy_(x)
            graph.numbers.copy_(numbers, non_blocking=True)
            graph.replay()
            return graph.made[:count].clone()

    def _first(self, x: Tensor, numbers: Tensor, limit: int) -> Tensor:
        """Runs a step eagerly and captures it; returns the graph's result if it agrees."""
        count, size = len(x), numbers.shape[1]
        inputs = x.new_zeros(size, x.shape[1])
        inputs[:count] = x

        def work() -> Tensor:
            return self._step(inputs, numbers, limit)

        expected = work()
        if self._capture is None:  # a graph has failed while this step waited for the lock
            return expected[:count]
        try:
            replay, made = self._capture(work)
            replay()
            self._compare(made, expected)
        except Exception as error:  # whatever it is, the eager result stands
            self._failure = f"{type(error).__name__}: {error}".splitlines()[0]
            logger.warning(
                "CUDA graphs are off, steps run eagerly: a batch of %d with %d positions failed "
                "(%s)",
                size,
                limit,
                self._failure,
            )
            self._graphs.clear()
            self._capture = None
            return expected[:count]
        self._graphs[size, limit] = StepGraph(inputs, numbers, made, replay)
        return made[:count].clone()

    def _compare(self, made: Tensor, expected: Tensor) -> None:
        """Raises ArithmeticError if a graph's result differs from the eager one."""
        difference = float((made - expected).abs().max() / expected.abs().max())
        tolerance = TOLERANCES[self.pool.keys[0].dtype]
        if not difference <= tolerance:  # also if it is not a number
            raise ArithmeticError(
                f"its result differs from the eager one by {difference:.1e}, over {tolerance:.0e}"
            )
