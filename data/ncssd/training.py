"""Training loop and checkpoint shared by the builder's networks.

Each round simulates new examples. An interrupted training resumes from its last round, with
bitwise identical results.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from data.errors import InputError
from data.files import atomic_write
from data.ncssd.training_plan import TrainingPlan

_REPORTED = 50  # steps
Batch = TypeVar("Batch")
Examples = TypeVar("Examples")


def descend(
    model: nn.Module,
    batches: Callable[[int], Iterator[Batch]],
    loss_of: Callable[[Batch], Tensor],
    plan: TrainingPlan,
    checkpoint: "Checkpoint",
) -> list[float]:
    """Runs the remaining steps; returns the mean loss of every 50.

    Args:
        model: the network, trained in place.
        batches: yields the batches of all steps from the given one on.
        loss_of: the loss of one batch.
        plan: steps and learning rates.
        checkpoint: where to resume from and save to.
    """
    optimizer = torch.optim.AdamW(model.parameters(), plan.lr, weight_decay=0.01)
    done = checkpoint.load(model, optimizer)
    history, running = [], 0.0
    for step, batch in enumerate(batches(done), done):
        if step > done and step % plan.steps_per_round == 0:
            checkpoint.save(model, optimizer, step)
        for group in optimizer.param_groups:
            group["lr"] = plan.lr_at(step)
        loss = loss_of(batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        running += float(loss.detach())
        if (step + 1) % _REPORTED == 0:
            history.append(running / _REPORTED)
            running = 0.0
            print(f"step {step + 1}: loss {history[-1]:.4f}", flush=True)
    return history


def steps_with_examples(
    plan: TrainingPlan, first: int, salt: int, make: Callable[[int], Examples]
) -> Iterator[tuple[Examples, np.random.Generator]]:
    """The examples of all steps from `first` on, and a generator to draw batches from them.

    Args:
        plan: steps, rounds and seed.
        first: a step at which a round starts.
        salt: tells the generators of different networks apart.
        make: makes the examples of a round, called once for each.
    """
    for begin in range(first, plan.steps, max(1, plan.steps_per_round)):
        turn = begin // plan.steps_per_round
        examples = make(turn)
        rng = np.random.default_rng([plan.seed, salt, turn])
        for _ in range(min(plan.steps_per_round, plan.steps - begin)):
            yield examples, rng


class Checkpoint:
    """The state of a training between rounds, as safetensors beside the final weights."""

    def __init__(
        self, weights: Path, plan: TrainingPlan, corpora: list[Path], begin: Path | None
    ) -> None:
        self.path = weights.with_suffix(".training.safetensors")
        self._about = json.dumps([asdict(plan), [str(c) for c in corpora], str(begin)])

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Restores the state, if there is any; returns the number of completed steps.

        Raises:
            InputError: the checkpoint has other settings.
        """
        if not self.path.is_file():
            return 0
        with safe_open(self.path, "pt") as file:
            about = file.metadata()
            if about["about"] != self._about:
                raise InputError(
                    f"{self.path} belongs to a training with other settings; repeat its command to "
                    "resume it, or remove the file to start over"
                )
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        step = int(about["step"])
        for name, value in model.named_parameters():
            value.data.copy_(state[f"{name} value"])
            optimizer.state[value] = {
                "step": torch.tensor(float(step)),
                "exp_avg": state[f"{name} exp_avg"],
                "exp_avg_sq": state[f"{name} exp_avg_sq"],
            }
        print(f"resuming after step {step}", flush=True)
        return step

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
        """Saves the state before `step`."""
        state = {}
        for name, value in model.named_parameters():
            state[f"{name} value"] = value.detach()
            for key in ("exp_avg", "exp_avg_sq"):
                state[f"{name} {key}"] = optimizer.state[value][key]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, save(state, {"about": self._about, "step": str(step)}))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
