"""`data convert`: the same dialogues in other voices."""

import json
from pathlib import Path

import numpy as np
import pytest

from app.cli.data import main
from data.audio import read_audio
from data.dialogue import Dialogue, Turn, check_ncssd, read_ncssd, write_ncssd_dialogue
from data.errors import InputError
from tests.tiny import save_tiny


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPARTEE_VOICES", str(tmp_path / "library"))
    return save_tiny(tmp_path / "weights")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    root = tmp_path / "corpus"
    noise = np.random.default_rng(0).normal(0, 0.05, 30_000).astype(np.float32)
    for number in (3, 7):
        turns = [
            Turn(0, "Is it late?", samples=noise, extra={"voice": "real-a", "f0_hz": 120.0}),
            Turn(1, "Not yet.", samples=noise[:20_100], extra={"voice": "real-b", "rate": 9.5}),
        ]
        write_ncssd_dialogue(root, Dialogue(str(number), turns, {"license": "CC0-1.0"}))
    return root


def run(corpus: Path, out: Path, weights: Path, *rest: str) -> int:
    return main(["convert", str(corpus), "--out", str(out), "--weights", str(weights), *rest])


def test_copies_keep_words_length_and_metadata_and_change_the_voice(
    corpus: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "copies"
    assert run(corpus, out, weights, "--copies", "2") == 0
    assert check_ncssd(out) == []
    copies, originals = list(read_ncssd(out)), list(read_ncssd(corpus))
    assert [copy.id for copy in copies] == ["0", "1", "2", "3"]
    for copy in copies:
        original = originals[int(copy.id) // 2]
        assert copy.extra["license"] == "CC0-1.0"
        assert copy.extra["converted"]["dialogue"] == original.id
        assert set(copy.extra["converted"]["models"]) == {"semantic", "prior", "decoder"}
        voices = [turn.extra["voice"] for turn in copy.turns]
        assert len(set(voices)) == 2
        for made, was in zip(copy.turns, original.turns, strict=True):
            assert made.text == was.text
            assert made.extra["converted_from"] == was.extra["voice"]
            assert "f0_hz" not in made.extra
            assert made.audio is not None and was.audio is not None
            sounds = read_audio(made.audio), read_audio(was.audio)
            assert len(sounds[0]) == len(sounds[1])
            assert not np.allclose(sounds[0], sounds[1])
    assert copies[0].turns[1].extra["rate"] == 9.5


def test_it_resumes_with_identical_results(corpus: Path, weights: Path, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert run(corpus, whole, weights) == 0
    assert run(corpus, cut, weights) == 0
    kept = cut / "0" / "metadata.json"
    before = kept.stat().st_mtime_ns
    for path in (cut / "1").iterdir():
        path.unlink()
    (cut / "1").rmdir()
    assert run(corpus, cut, weights) == 0
    assert kept.stat().st_mtime_ns == before
    for path in sorted((whole / "1").iterdir()):
        assert path.read_bytes() == (cut / "1" / path.name).read_bytes()


def test_a_folder_made_with_other_settings_is_rejected(
    corpus: Path, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "copies"
    assert run(corpus, out, weights) == 0
    with pytest.raises(InputError, match="another folder"):
        run(corpus, out, weights, "--seed", "5")
    with pytest.raises(InputError, match="not empty"):
        run(corpus, weights, weights)


def test_a_bad_dialogue_is_reported_and_the_rest_is_converted(
    corpus: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (corpus / "3" / "0_0_d3.wav").write_bytes(b"")
    assert run(corpus, tmp_path / "copies", weights) == 1
    assert "dialogue 3" in capsys.readouterr().err
    assert [copy.id for copy in read_ncssd(tmp_path / "copies")] == ["1"]


def test_impossible_conversions_are_rejected(corpus: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "copies"
    with pytest.raises(InputError, match="--copies"):
        run(corpus, out, weights, "--copies", "0")
    with pytest.raises(InputError, match="more voices"):
        run(corpus, out, weights, "--voices", _one_voice(weights))
    with pytest.raises(InputError, match="no voice"):
        run(corpus, out, weights, "--voices", "nobody")
    assert not out.exists()


def _one_voice(weights: Path) -> str:
    return next(iter(json.loads((weights / "voices.json").read_text())))
