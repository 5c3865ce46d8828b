"""Every filter threshold is reached by its option, or by --config."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.cli.build import _THRESHOLDS, _config, _parser
from data.errors import InputError
from data.ncssd import activity, background, decode, quality, turns
from data.ncssd.config import BuildConfig
from data.ncssd.stage import Context, Stage
from data.ncssd.store import Row, Store, read_rows
from data.ncssd.truth.sound import write_media

STAGES = {
    name: (before, Stage(name, 0, run))
    for name, before, run in (
        ("activity", "decode", activity.run),
        ("background", "activity", background.run),
        ("turns", "speakers", turns.run),
        ("quality", "recognise", quality.run),
    )
}
# option, the stage whose filter it sets, a value that keeps, one that rejects
FLAGS = [
    ("--min-scene", "activity", "1", "999"),
    ("--min-speech", "activity", "0.01", "0.999"),
    ("--min-snr", "background", "-60", "60"),
    ("--min-snr", "quality", "-60", "60"),
    ("--min-turns", "turns", "2", "99"),
    ("--min-dialogue", "turns", "1", "999"),
    ("--min-two-people", "turns", "0", "1.01"),
    ("--min-dnsmos", "quality", "1", "5"),
    ("--min-bandwidth", "quality", "100", "12001"),
    ("--max-clipped", "quality", "1", "-1"),
    ("--min-confidence", "quality", "0", "0.9"),
    ("--min-agreement", "quality", "0", "0.9"),
    ("--max-failed", "quality", "0.5", "0"),
]
SETTINGS = [  # those without an option
    ("turns.min_turns_each", 1, 50),
    ("quality.min_rate", 0.0, 100.0),
    ("quality.max_rate", 1000.0, 0.0),
]


def configured(*options: str) -> BuildConfig:
    return _config(_parser().parse_args(["in.wav", "--out", "out", *options]))


@pytest.fixture
def reason(built, tmp_path, monkeypatch):
    """Runs a stage on what the stage before it made in a finished build; returns why the first row
    is rejected."""
    monkeypatch.setattr(quality, "mos_windows", lambda samples, device: np.array([3.0]))

    def run(stage_name: str, config: BuildConfig) -> Row:
        before, stage = STAGES[stage_name]
        rows = [r for r in read_rows(built / "work" / f"{before}.jsonl") if "dropped" not in r]
        row = rows[0]
        for turn in row.get("turns", ()):
            turn |= {"text": "two words", "confidence": 0.5, "agreement": 0.5}
        if "turns" in row:
            row["turns"][0]["text"] = "far too many words " * 99  # fails by its rate
        (row, *_) = stage.run(row, Context(config, Store(built / "work")), "key")
        return row

    return run


@pytest.mark.parametrize(("flag", "stage", "keeps", "rejects"), FLAGS)
def test_an_option_reaches_its_filter(reason, flag, stage, keeps, rejects):
    """`--min-snr 0` once left the first of two filters at 4 dB."""
    assert "dropped" not in reason(stage, configured(flag, keeps))
    row = reason(stage, configured(flag, rejects))
    assert flag in row["why"], row.get("dropped")


@pytest.mark.parametrize(("setting", "keeps", "rejects"), SETTINGS)
def test_a_setting_reaches_its_filter(reason, tmp_path, setting, keeps, rejects):
    stage, name = setting.split(".")
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({stage: {name: keeps}}))
    assert "dropped" not in reason(stage, configured("--config", str(path)))
    path.write_text(json.dumps({stage: {name: rejects}}))
    assert setting in reason(stage, configured("--config", str(path)))["why"]


def test_a_clipped_file_is_accepted_on_request(tmp_path):
    tone = (0.3 * np.sin(np.arange(24_000 * 4) / 17)).astype(np.float32)
    tone[: 24_000 // 2] = np.sign(tone[: 24_000 // 2])  # an eighth of it
    path = write_media(tmp_path / "loud.wav", tone, 24_000) or tmp_path / "loud.wav"

    def decoded(*options: str) -> Row:
        context = Context(configured(*options), Store(tmp_path / "work"), {"x": Path(path)})
        return decode.run({"sha256": "x"}, context, "key")[0]

    with pytest.raises(InputError, match=r"1[23]\.\d % of it is clipped.*--max-clipped-file"):
        decoded()
    assert decoded("--max-clipped-file", "0.2")["clipped"] > 0.12


def test_every_threshold_option_is_tested():
    tested = {flag for flag, *_ in FLAGS} | {"--max-clipped-file"}
    assert tested == set(_THRESHOLDS) - {"--level", "--min-separation"}  # which reject nothing
    assert configured("--level", "-30").export.level_dbfs == -30.0
    assert configured("--min-separation", "9").overlaps.min_sdr_db == 9.0
    assert (
        configured().overlaps.separate
        and not configured("--no-separate-overlaps").overlaps.separate
    )
