"""`bench`: the last line is one JSON object with real measurements."""

import json
from pathlib import Path

import pytest

from app.cli import bench
from data.errors import InputError
from tests.tiny import save_tiny


@pytest.mark.parametrize("slots", [1, 4])
def test_the_last_line_is_the_result(
    slots: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = save_tiny(tmp_path)
    given = ["--replies", "20", "--slots", str(slots), "--weights", str(weights)]
    assert bench.main(given) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 < result["first_audio_ms_p50"] <= result["first_audio_ms_p95"]
    assert 0 < result["rtf_p50"] <= result["rtf_p95"]
    assert result["peak_rss_mb"] > 50 and result["threads"] >= 1
    assert result["predictor"] == "gpt-talker" and "products compiled for" in result["kernels"]
    assert result["cuda_graphs"] == "off: this device is a CPU"
    assert result["audio_s_per_s"] > 0 and result["audio_s_per_processor_s"] > 0
    for kind in ("task", "step", "chunk"):
        assert result["work"][kind]["ms_per_audio_s"] > 0
        assert 1 <= result["work"][kind]["slots_together"] <= slots


def test_too_few_replies_are_rejected() -> None:
    with pytest.raises(InputError, match="at least 20"):
        bench.main(["--replies", "3"])


@pytest.mark.parametrize("slots", ["0", "-1", "26"])
def test_invalid_slots_are_rejected(slots: str) -> None:
    with pytest.raises(InputError, match=f"--slots is {slots}; it must be from 1 to --replies"):
        bench.main(["--slots", slots])


def test_an_unknown_device_is_rejected(tmp_path: Path) -> None:
    weights = str(save_tiny(tmp_path))
    for device in ("cuda:99", "tpu", "cdua"):
        with pytest.raises(InputError, match=f"there is no device '{device}'; available: cpu"):
            bench.main(["--device", device, "--slots", "8", "--weights", weights])


def test_a_failure_in_a_slot_ends_the_measurement() -> None:
    def speak(number: int) -> bench.Timing:
        raise InputError(f"number {number} fails")

    with pytest.raises(InputError, match="fails"):
        bench.run(speak, range(5), 2)


def test_an_unknown_voice_is_rejected(tmp_path: Path) -> None:
    weights = str(save_tiny(tmp_path))
    with pytest.raises(InputError, match="'nosuch'; the voices are one, two, slt"):
        bench.main(["--voice", "nosuch", "--weights", weights])
