"""`bench`: the last line is one JSON object with real measurements."""

import json
from pathlib import Path

import pytest

from app.cli import bench
from data.errors import InputError
from tests.tiny import save_tiny


def test_the_last_line_is_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save_tiny(tmp_path)
    assert bench.main(["--replies", "20", "--weights", str(weights)]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 < result["first_audio_ms_p50"] <= result["first_audio_ms_p95"]
    assert 0 < result["rtf_p50"] <= result["rtf_p95"]
    assert result["peak_rss_mb"] > 50 and result["threads"] >= 1
    assert result["predictor"] == "gpt-talker"


def test_too_few_replies_are_refused() -> None:
    with pytest.raises(InputError, match="at least 20"):
        bench.main(["--replies", "3"])


def test_a_voice_that_is_not_there_is_said(tmp_path: Path) -> None:
    weights = str(save_tiny(tmp_path))
    with pytest.raises(InputError, match="'nosuch'; voices are one, two, slt"):
        bench.main(["--voice", "nosuch", "--weights", weights])
