"""Corpora are joined without losing or renumbering anything."""

import json
from pathlib import Path

import numpy as np
import pytest

from data.dialogue import Dialogue, Turn, check_ncssd, read_dialogue, write_ncssd_dialogue
from data.errors import InputError
from data.merge import SOURCES, merge


def corpus(root: Path, texts: list[str]) -> Path:
    for number, text in enumerate(texts):
        turns = [
            Turn(speaker, f"{text} {speaker}", samples=np.full(2400, 0.1, np.float32))
            for speaker in (0, 1)
        ]
        if not (root / str(number)).exists():
            write_ncssd_dialogue(root, Dialogue(str(number), turns))
    return root


def texts_of(root: Path) -> list[str]:
    folders = sorted((p for p in root.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    return [read_dialogue(folder).turns[0].text for folder in folders]


def test_all_dialogues_of_all_corpora_are_there_and_sound(tmp_path: Path) -> None:
    one, other = corpus(tmp_path / "a", ["x", "y"]), corpus(tmp_path / "b", ["z"])
    assert merge([one, other], tmp_path / "out") == 3
    assert texts_of(tmp_path / "out") == ["x 0", "y 0", "z 0"]
    assert check_ncssd(tmp_path / "out") == []


def test_a_corpus_that_has_grown_adds_only_what_is_new(tmp_path: Path) -> None:
    one, other = corpus(tmp_path / "a", ["x"]), corpus(tmp_path / "b", ["z"])
    merge([one, other], tmp_path / "out")
    before = (tmp_path / "out/0/metadata.json").stat().st_mtime_ns
    corpus(one, ["x", "later"])
    assert merge([one, other], tmp_path / "out") == 3
    assert texts_of(tmp_path / "out") == ["x 0", "z 0", "later 0"]
    assert (tmp_path / "out/0/metadata.json").stat().st_mtime_ns == before
    assert len(json.loads((tmp_path / "out" / SOURCES).read_text())) == 3


@pytest.mark.parametrize(
    ("trouble", "said"), [("empty", "has no dialogues"), ("own", "dialogues of its own")]
)
def test_what_cannot_be_joined_is_said(tmp_path: Path, trouble: str, said: str) -> None:
    one = corpus(tmp_path / "a", ["x"])
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=said):
        if trouble == "empty":
            merge([one, tmp_path / "none"], tmp_path / "out")
        else:
            merge([one], corpus(tmp_path / "own", ["mine"]))


def test_the_commands_of_all_corpora_are_kept(tmp_path: Path) -> None:
    one, other = corpus(tmp_path / "a", ["x"]), corpus(tmp_path / "b", ["z"])
    (one / "corpus.json").write_text('{"command": "launch.py data synthetic --seed 1"}')
    merge([one, other], tmp_path / "out")
    assert not (tmp_path / "out/corpus.json").exists()  # nobody knows how the other was made
    (other / "corpus.json").write_text('{"command": "launch.py data synthetic --seed 2"}')
    merge([one, other], tmp_path / "out")
    command = json.loads((tmp_path / "out/corpus.json").read_text())["command"]
    assert "--seed 1;" in command and "--seed 2;" in command and "data merge a b" in command
