"""What only a GPU needs: predictors in bf16, with pooled caches and CUDA graphs of their steps."""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kernels.int8_linear import with_linears
from models.precision import Bf16Linear, supports_bf16
from models.predictors.dialogue_model import DialogueModel

logger = logging.getLogger(__name__)

MAX_DIALOGUES = 1280  # in a predictor's pool: a thousand sessions, and caches that are made anew
MEMORY_SHARE = 0.5  # of the GPU's free memory, for the pools of all predictors
_WARM_UP = 3  # runs before a capture, in which libraries choose algorithms and reserve workspaces


def prepare_talkers(talkers: Sequence[DialogueModel], device: torch.device) -> None:
    """Moves predictors to a GPU for inference: the transformer's weights and caches in bf16 where
    it is supported, pooled caches, and CUDA graphs."""
    free, _ = torch.cuda.mem_get_info(device)
    for talker in talkers:
        talker.to(device)
        if supports_bf16(device):
            with_linears(talker.transformer, Bf16Linear)
        num_rows = rows_within(int(MEMORY_SHARE * free) // len(talkers), talker)
        talker.transformer.use_pool(num_rows, talker.capacity, device, CudaCapture(device))
        logger.info("%s: room for %d dialogues on %s", talker.name, num_rows, device)


def rows_within(memory: int, talker: DialogueModel) -> int:
    """How many dialogues' caches fit into so many bytes, at most `MAX_DIALOGUES`."""
    transformer = talker.transformer
    row = 2 * len(transformer.blocks) * transformer.dim * talker.capacity
    return min(MAX_DIALOGUES, memory // (row * transformer.cache_dtype.itemsize))


def try_graph(device: torch.device) -> str:
    """Captures and replays a small graph on a GPU; says what came of it."""
    try:
        numbers = torch.arange(4.0, device=device)
        replay, made = CudaCapture(device)(lambda: 2 * numbers)
        numbers += 1
        replay()
        works = made.tolist() == [2.0, 4.0, 6.0, 8.0]
    except RuntimeError as error:
        return f"CUDA graphs fail: {str(error).splitlines()[0]}"
    return "CUDA graphs work" if works else "CUDA graphs fail: a replay's result is wrong"


class CudaCapture:
    """Captures work as a CUDA graph (`models.pooled_step.Capture`).

    All graphs share their memory: they never run at the same time, and each result is copied before
    the next one runs.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None
        self._memory = None

    def __call__(self, work: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
        with torch.cuda.device(self._device):
            current = torch.cuda.current_stream()
            if self._stream is None:
                self._stream = torch.cuda.Stream()
                self._memory = torch.cuda.graph_pool_handle()
            # Entering the current stream returns to it, even if a capture breaks off.
            with torch.cuda.stream(current):
                self._stream.wait_stream(current)
                with torch.cuda.stream(self._stream):
                    for _ in range(_WARM_UP):
                        work()
                current.wait_stream(self._stream)
                graph = torch.cuda.CUDAGraph()
                # Other threads go on using the device; in the mode "global" that is an error.
                with torch.cuda.graph(
                    graph, self._memory, self._stream, capture_error_mode="thread_local"
                ):
                    made = work()
            return graph.replay, made
