"""The commands that measure a GPU run on one."""

import json
from pathlib import Path

import pytest
import torch

from app.cli import bench, loadtest
from tests.tiny import save_tiny

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


def last_line(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("slots", [1, 64])
def test_bench(slots: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = str(save_tiny(tmp_path))
    given = ["--device", "cuda", "--weights", weights, "--replies", "64", "--slots", str(slots)]
    assert bench.main(given) == 0
    result = last_line(capsys)
    assert result["cuda_graphs"].startswith("on: ")
    assert result["work"]["step"]["slots_together"] >= (1 if slots == 1 else 8)


def test_loadtest(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--device", "cuda", "--sessions", "2", "--minutes", "0.2", "--typed"]
    assert loadtest.main(given) == 0
    result = last_line(capsys)
    assert result["replies"] >= 2 and not result["errors"]
