"""The gain of choosing the precision where there is no bfloat16."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_a_training_step_on_avx2_alone_is_eight_times_faster_than_in_emulated_bf16() -> None:
    made = subprocess.run(
        [sys.executable, "-m", "models.training.benchmark"],
        env={**os.environ, "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1800,
        check=True,
    )
    rows = [json.loads(line) for line in made.stdout.splitlines()]
    assert len(rows) == 4 and {row["chosen"] for row in rows} == {"fp32"}
    speedups = [row["speedup"] for row in rows]
    assert statistics.median(speedups) >= 8 and min(speedups) >= 6, rows
