"""The training loop of all recipes: steps, schedule, log, resumable checkpoints, DDP."""

import contextlib
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch import Tensor, nn

from models.checkpoint import write_tensors
from models.precision import autocast

CHECKPOINT = "checkpoint.safetensors"
_BARRIER_TIMEOUT = timedelta(days=2)  # other processes wait while the first prepares the data

logger = logging.getLogger(__name__)


@dataclass
class Budget:
    """Training budget: `steps`, or wall-clock `minutes` if given (the result then also depends on
    the machine's speed)."""

    steps: int
    minutes: float | None = None

    def times(self, steps: float, minutes: float) -> "Budget":
        """The budget with steps and minutes scaled by these factors."""
        timed = None if self.minutes is None else minutes * self.minutes
        return Budget(round(steps * self.steps), timed)


@dataclass
class Run:
    """One training run.

    Attributes:
        folder: folder of checkpoint and log.
        seed: seed of everything random.
        budget: when it ends.
        learning_rate: peak, reached after `warmup` steps; decays along a cosine to a twentieth.
        resume: continue from the checkpoint in `folder`.
        progress: fraction of the budget spent, updated during training.
    """

    folder: Path
    seed: int
    budget: Budget
    learning_rate: float
    weight_decay: float = 0.01
    warmup: int = 100
    clip: float = 1.0
    resume: bool = False
    log_every: int = 20
    save_minutes: float = 3.0
    progress: float = 0.0


def device() -> torch.device:
    """This process's GPU if there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return torch.device("cpu")


def join_processes() -> tuple[int, int]:
    """Joins torchrun's process group, if any; returns rank and world size."""
    if "RANK" in os.environ and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(device())
        dist.init_process_group(
            "nccl" if torch.cuda.is_available() else "gloo", timeout=_BARRIER_TIMEOUT
        )
    if dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


@contextlib.contextmanager
def first_process_first() -> Iterator[None]:
    """Lets the first of several processes run the block before the others, which then find its
    results. Not reentrant."""
    rank, world = join_processes()
    if rank > 0:
        dist.barrier()
    yield
    if rank == 0 and world > 1:
        dist.barrier()


def on_first_process(do: Callable[[], object]) -> None:
    """Runs `do` in the first of several processes while the others wait."""
    rank, _ = join_processes()
    with first_process_first():
        if rank == 0:
            do()


def train(
    run: Run,
    model: nn.Module,
    loss_of_batch: Callable[[np.random.Generator], dict[str, Tensor]],
) -> nn.Module:
    """Trains `model` in place until the budget is spent.

    Args:
        run: the settings.
        model: every parameter that requires a gradient is trained.
        loss_of_batch: samples a batch with the given generator and returns named losses; `total` is
            minimised. Runs under `models.precision.autocast`.
    """
    rank, _ = join_processes()
    where = device()
    torch.manual_seed(run.seed + rank)
    model.to(where).train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = _optimizer(parameters, run)
    step, spent = 0, 0.0
    if run.resume:
        step, spent = _restore(run.folder, model, optimizer)
    elif rank == 0:
        clear_run(run.folder)
    started = saved = time.monotonic()
    sums: dict[str, float] = {}
    while (progress := _progress(run, step, spent + time.monotonic() - started)) < 1.0:
        run.progress = progress
        rate = _scheduled_rate(run, step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        # One generator per step: a resumed run sees the batches it would have seen.
        with autocast(where):
            losses = loss_of_batch(np.random.default_rng([run.seed, step, rank]))
        norm = _update(run, optimizer, parameters, losses["total"], step)
        step += 1
        for name, value in losses.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if step % run.log_every == 0:
            if rank == 0:
                _log(run, step, rate, norm, sums, spent + time.monotonic() - started)
            sums = {}
        if rank == 0 and time.monotonic() - saved > 60 * run.save_minutes:
            saved = time.monotonic()
            _save(run.folder, model, optimizer, step, spent + saved - started)
    if rank == 0:
        _save(run.folder, model, optimizer, step, spent + time.monotonic() - started)
    return model.eval()


def _optimizer(parameters: list[nn.Parameter], run: Run) -> torch.optim.Optimizer:
    rate, decay = run.learning_rate, run.weight_decay
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=decay, fused=True)


def clear_run(folder: Path) -> None:
    """Clears what an earlier run left in `folder`, so that it cannot be resumed."""
    for name in ("log.jsonl", CHECKPOINT):
        (folder / name).unlink(missing_ok=True)


def _progress(run: Run, step: int, seconds: float) -> float:
    """Fraction of the budget spent; the same in all processes."""
    budget = run.budget
    by_step = step / max(1, budget.steps)
    progress = by_step if budget.minutes is None else seconds / (60 * budget.minutes)
    if join_processes()[1] == 1:
        return progress
    # Clocks differ, and a process that stops alone would leave the others waiting.
    shared = torch.tensor(progress, dtype=torch.float64, device=device())
    dist.broadcast(shared, 0)
    return float(shared)


def _scheduled_rate(run: Run, step: int) -> float:
    """Learning rate: linear warm-up, then cosine decay to a twentieth."""
    warm = min(1.0, (step + 1) / run.warmup)
    return run.learning_rate * warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * run.progress)))


def _update(
    run: Run,
    optimizer: torch.optim.Optimizer,
    parameters: list[nn.Parameter],
    loss: Tensor,
    step: int,
) -> float:
    """One optimiser step, skipped for a non-finite gradient; returns the gradient norm."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if (world := join_processes()[1]) > 1:
        _average_gradients(parameters, world)
    norm = nn.utils.clip_grad_norm_(parameters, run.clip)
    if torch.isfinite(norm):
        optimizer.step()
    else:
        logger.warning("step %d: non-finite gradient; step skipped", step)
    return float(norm)


def _average_gradients(parameters: list[nn.Parameter], world: int) -> None:
    grads = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= world
    at = 0
    for grad in grads:
        grad.copy_(flat[at : at + grad.numel()].view_as(grad))
        at += grad.numel()


def _log(
    run: Run, step: int, rate: float, norm: float, sums: dict[str, float], seconds: float
) -> None:
    means = {name: round(total / run.log_every, 4) for name, total in sums.items()}
    row = {"step": step, "seconds": round(seconds, 1), "rate": rate, "norm": round(norm, 3)} | means
    run.folder.mkdir(parents=True, exist_ok=True)
    with (run.folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    logger.info("%s step %d %s", run.folder.name, step, means)


def _save(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, seconds: float
) -> None:
    tensors = {f"model.{k}": v.detach().contiguous() for k, v in model.state_dict().items()}
    names = _trained(model)
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            tensors[f"optimizer.{names[index]}.{name}"] = torch.as_tensor(value).contiguous()
    tensors["progress"] = torch.tensor([step, seconds], dtype=torch.float64)
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / CHECKPOINT, {k: v.cpu().clone() for k, v in tensors.items()})


def _trained(model: nn.Module) -> list[str]:
    """Names of the trained parameters, in the optimiser's order."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def _restore(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    path = folder / CHECKPOINT
    if not path.exists():
        logger.warning("%s: no checkpoint to resume from; starting at step 0", folder)
        return 0, 0.0
    tensors = load_file(path)
    model.load_state_dict(
        {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    )
    indices = {name: index for index, name in enumerate(_trained(model))}
    state = optimizer.state_dict()
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            parameter, name = key.removeprefix("optimizer.").rsplit(".", 1)
            state["state"].setdefault(indices[parameter], {})[name] = value
    optimizer.load_state_dict(state)
    step, seconds = tensors["progress"].tolist()
    return int(step), seconds
