"""Preparation follows the data set: changed files are prepared and encoded again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data.audio import SAMPLE_RATE, write_audio
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.errors import InputError
from models.text.symbols import SYMBOLS
from models.training import corpus as recipe
from models.training.corpus import Corpus, prepare
from models.training.encoded import cached

SECONDS = 0.5


def write(root: Path, number: int, text: str, level: float = 0.1) -> Path:
    sound = np.full(round(SECONDS * SAMPLE_RATE), level, np.float32)
    turns = [Turn(0, text, samples=sound), Turn(1, "Yes.", samples=sound)]
    return write_ncssd_dialogue(root, Dialogue(str(number), turns, {}))


def texts(root: Path) -> list[str]:
    return [u.text for u in Corpus(prepare(root, workers=1)).utterances if u.turn == 0]


def lengths(root: Path, folder: Path, made: list[str]) -> list[int]:
    """The length of each turn through the cache; records which shards are computed."""
    corpus = Corpus(prepare(root, workers=1))

    def make(name: str, indices: list[int]) -> list[np.ndarray]:
        made.append(name)
        return [
            np.full(corpus.utterances[i].num_frames, len(corpus.utterances[i].text))
            for i in indices
        ]

    return [int(row[0]) for row in cached(folder, corpus, "making", make)]


def test_a_changed_dialogue_is_prepared_and_encoded_again(tmp_path: Path) -> None:
    root, folder, made = tmp_path / "data", tmp_path / "kept", []
    write(root, 1, "One.")
    write(root, 2, "Two.")
    assert texts(root) == ["One.", "Two."]
    assert lengths(root, folder, made) == lengths(root, folder, made)
    assert len(made) == 1  # cached the second time
    shutil.rmtree(root / "2")
    write(root, 2, "Two again.")
    assert texts(root) == ["One.", "Two again."]
    assert lengths(root, folder, made) == [4, 4, 10, 4]
    assert len(made) == 2


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("你好，我们明天去北京。", "<zh>"),
        ("我想吃 pizza。", "<zh>"),
        ("Let us meet at noon.", "<en-us>"),
        ("She said 你好 and left.", "<en-us>"),
    ],
)
def test_each_text_is_phonemized_in_its_own_language(
    tmp_path: Path, text: str, symbol: str
) -> None:
    write(tmp_path, 1, text)
    said, yes = (u.units.symbols for u in Corpus(prepare(tmp_path, workers=1)).utterances)
    assert SYMBOLS[said[0]] == symbol and SYMBOLS[yes[0]] == "<en-us>"
    assert len(said) > 8 and said[0] != said[1]


def test_dialogues_inserted_between_others_lose_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "SHARD_DIALOGUES", 2)
    numbers = [10, 20, 30]
    for number in numbers:
        write(tmp_path, number, f"Number {number}.")
    assert len(texts(tmp_path)) == 3
    for number in (5, 15):
        write(tmp_path, number, f"Number {number}.")
    assert texts(tmp_path) == [f"Number {number}." for number in (5, 10, 15, 20, 30)]


def test_audio_beyond_full_scale_is_clipped(tmp_path: Path) -> None:
    folder = write(tmp_path, 1, "Loud.")
    square = np.sign(np.sin(2 * np.pi * 200 * np.arange(round(SECONDS * 44_100)) / 44_100))
    # the rate in its metadata is ignored
    write_audio(folder / "0_0_d1.wav", square.astype(np.float32), 44_100)
    loud = Corpus(prepare(tmp_path, workers=1)).utterances[0].samples.astype(np.int32)
    assert loud.max() == 32767 and loud.min() == -32767
    # full-scale jumps between samples occur only at the square wave's own edges
    jumps = np.abs(np.diff(loud)) > 40_000
    assert jumps.sum() <= 2 * 200 * SECONDS + 2


def test_two_trainings_may_prepare_the_same_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 1, "One.")
    read = recipe.read_dialogue

    def read_while_the_other_finishes(folder: Path) -> Dialogue:
        monkeypatch.setattr(recipe, "read_dialogue", read)
        prepare(tmp_path, workers=1)
        return read(folder)

    monkeypatch.setattr(recipe, "read_dialogue", read_while_the_other_finishes)
    assert texts(tmp_path) == ["One."]


def test_a_turn_without_audio_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, 7, "Where is it?")
    (folder / "1_1_d7.wav").unlink()
    with pytest.raises(InputError, match="turn 1 of dialogue 7 has no sound"):
        prepare(tmp_path, workers=1)
    assert not list((tmp_path / recipe.PREPARED).glob("*/items.json"))
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["dialog"] == 7
