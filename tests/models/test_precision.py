"""Training precision follows the hardware; `--precision` overrides it."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from app.cli.train import main
from data.errors import InputError
from kernels.int8_linear import Int8Linear
from kernels.processor import has_bf16
from models import precision

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


@pytest.fixture(autouse=True)
def automatic() -> Iterator[None]:
    yield
    precision.choose("auto")


def on_avx2_alone(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", code]
    environment = {**os.environ, **AVX2}
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize(
    ("native", "choice", "wanted"),
    [
        (True, "auto", "bf16"),
        (False, "auto", "fp32"),
        (True, "fp32", "fp32"),
        (False, "fp32", "fp32"),
        (True, "bf16", "bf16"),
        (False, "bf16", "bf16"),
    ],
)
def test_autocast_follows_the_hardware_by_default(
    native: bool, choice: precision.Choice, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: native)
    precision.choose(choice)
    with precision.autocast(CPU):
        made = nn.Linear(4, 4)(torch.ones(1, 4))
    assert made.dtype == {"bf16": torch.bfloat16, "fp32": torch.float32}[wanted]
    assert precision.describe(CPU).startswith(wanted)
    assert ("emulates" in precision.describe(CPU)) == (choice == "bf16" and not native)


def test_another_precision_is_refused() -> None:
    with pytest.raises(InputError, match=r"fp16.*auto, bf16, fp32"):
        precision.choose("fp16")  # type: ignore[arg-type]


def test_nothing_is_emulated_on_avx2_alone() -> None:
    """Neither in training nor in the prefill of a prompt."""
    made = on_avx2_alone(
        "import json, torch; from torch import nn;"
        "from kernels.int8_linear import Int8Linear; from models.precision import precision_on;"
        "linear = Int8Linear(nn.Linear(32, 8));"
        "print(json.dumps([precision_on(torch.device('cpu')), str(linear.wide)]))"
    )
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == ["fp32", "torch.float32"]


def test_int8_prefill_uses_the_processors_native_dtype() -> None:
    wanted = torch.bfloat16 if has_bf16() else torch.float32
    assert Int8Linear(nn.Linear(32, 8)).wide == wanted


@pytest.mark.parametrize("choice", ["bf16", "fp32"])
def test_a_run_logs_its_precision(
    choice: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("app.cli.train.prepare", stop)
    monkeypatch.setattr("logging.basicConfig", lambda **_: None)  # would detach caplog
    options = ["style", "--data", str(tmp_path), "--out", str(tmp_path), "--precision", choice]
    with caplog.at_level(logging.INFO), pytest.raises(KeyboardInterrupt):
        main(options)
    assert caplog.messages[0].startswith(f"training in {choice} (")
