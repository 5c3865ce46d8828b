"""The training loop is deterministic by seed and resumes exactly."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.training.loop import CHECKPOINT, Budget, Run, train


class Stop(Exception):
    """Simulates a crash."""


def run_in(folder: Path, seed: int = 1, resume: bool = False) -> Run:
    budget = Budget(20)
    return Run(folder, seed, budget, 0.1, warmup=1, resume=resume, log_every=5, save_minutes=0.0)


def train_tiny(run: Run, stop_at: int | None = None) -> Tensor:
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    calls = 0

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        if calls == stop_at:
            raise Stop
        x = torch.from_numpy(generator.standard_normal((8, 3))).float()
        return {"total": (model(x) - x.sum(1, keepdim=True)).square().mean()}

    train(run, model, draw)
    return model.weight.detach().clone()


def test_a_seed_repeats(tmp_path: Path) -> None:
    first, again = train_tiny(run_in(tmp_path / "a")), train_tiny(run_in(tmp_path / "b"))
    other = train_tiny(run_in(tmp_path / "c", seed=2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = train_tiny(run_in(tmp_path / "whole"))
    with pytest.raises(Stop):
        train_tiny(run_in(tmp_path / "cut"), stop_at=11)
    resumed = train_tiny(run_in(tmp_path / "cut", resume=True))
    torch.testing.assert_close(resumed, whole)
    stored = load_file(tmp_path / "cut" / CHECKPOINT)["model.weight"]
    torch.testing.assert_close(stored, whole)


def test_resuming_after_parameters_were_reordered(tmp_path: Path) -> None:
    def run(names: str, resume: bool, steps: int) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = nn.ModuleDict({name: nn.Linear(2, 2, bias=False) for name in sorted(names)})
        model = nn.ModuleDict({name: model[name] for name in names})

        def draw(generator: np.random.Generator) -> dict[str, Tensor]:
            x = torch.from_numpy(generator.standard_normal((8, 2))).float()
            return {"total": (model["b"](model["a"](x)) - x).square().mean()}

        how = Run(tmp_path / "run", 1, Budget(steps), 0.05, warmup=1, resume=resume)
        train(how, model, draw)
        return {name: model[name].weight.detach().clone() for name in names}

    run("ab", False, 10)
    same = run("ab", True, 20)
    run("ab", False, 10)
    changed = run("ba", True, 20)
    torch.testing.assert_close(changed["a"], same["a"])
    torch.testing.assert_close(changed["b"], same["b"])


def test_the_log_has_one_line_a_log_step(tmp_path: Path) -> None:
    train_tiny(run_in(tmp_path))
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [5, 10, 15, 20]
    assert rows[-1]["total"] < rows[0]["total"]


def test_steps_with_non_finite_gradients_are_skipped(tmp_path: Path) -> None:
    model = nn.Linear(1, 1)
    before = model.weight.detach().clone()

    def draw(_: np.random.Generator) -> dict[str, Tensor]:
        return {"total": model.weight.sum() * float("inf")}

    train(run_in(tmp_path), model, draw)
    assert torch.equal(model.weight.detach(), before)


PROCESS = """
import sys, time
from pathlib import Path
import torch
from torch import nn
from models.training.loop import Budget, Run, first_process_first, join_processes, train

folder = Path(sys.argv[1])
rank, _ = join_processes()
with first_process_first():
    if not (folder / "made").exists():
        time.sleep(0.2)
        (folder / "made").write_text(str(rank))
assert (folder / "made").read_text() == "0"
time.sleep(0.3 * rank)  # clocks differ
torch.manual_seed(0)
model = nn.Linear(3, 1)

def draw(generator):
    x = torch.from_numpy(generator.standard_normal((8, 3))).float()
    time.sleep(0.01)
    return {"total": (model(x) - x.sum(1, keepdim=True)).square().mean()}

run = Run(folder / "run", 1, Budget(0, minutes=1 / 60), 0.1, warmup=1)
train(run, model, draw)
torch.save(model.weight.detach(), folder / f"{rank}.pt")
"""


def test_processes_of_one_run_end_together_with_the_same_weights(tmp_path: Path) -> None:
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, "--nproc-per-node=2", str(script), str(tmp_path)]
    root = Path(__file__).parents[3]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert made.returncode == 0, made.stderr
    files = (tmp_path / f"{rank}.pt" for rank in (0, 1))
    first, second = (torch.load(file, weights_only=True) for file in files)
    assert torch.equal(first, second)
    assert not torch.equal(first, torch.zeros_like(first))
