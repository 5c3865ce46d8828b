"""Turns with their sound, and the archive that other tools read."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.turns import AGENT, USER, TurnRecord, TurnStore
from data.dialogue import check_ncssd, read_dialogue
from data.errors import InputError
from tests.app.user_sound import speechlike


def filled() -> TurnStore:
    store = TurnStore()
    store.add(TurnRecord(store.number(), USER, "hello | there"), speechlike(0.5))
    store.add(
        TurnRecord(store.number(), AGENT, "Nice to", cut=True, intended="Nice to meet you"),
        speechlike(0.3, 200),
    )
    store.add(TurnRecord(store.number(), USER, "typed", typed=True), None)
    return store


def test_sound_comes_back() -> None:
    store = filled()
    sound = store.sound(store.records[1])
    assert sound is not None
    assert np.abs(sound - speechlike(0.3, 200)).max() < 1e-4
    assert store.sound(store.records[2]) is None
    store.close()


def test_a_turn_taken_back_leaves_no_hole() -> None:
    store = TurnStore()
    store.add(TurnRecord(0, USER, "one"), speechlike(0.5))
    assert store.take_back(5) is None
    assert store.take_back(0) is not None
    store.add(TurnRecord(0, USER, "whole"), speechlike(0.2, 300))
    sound = store.sound(store.records[0])
    assert sound is not None
    assert np.abs(sound - speechlike(0.2, 300)).max() < 1e-4
    store.close()


def test_the_archive_is_a_dialogue(tmp_path: Path) -> None:
    store = filled()
    zipfile.ZipFile(io.BytesIO(store.archive())).extractall(tmp_path)
    assert check_ncssd(tmp_path) == []
    dialogue = read_dialogue(tmp_path / "1")
    assert [turn.speaker for turn in dialogue.turns] == [0, 1, 0]
    assert dialogue.turns[1].extra["intended"] == "Nice to meet you"
    samples = dialogue.turns[0].load()
    assert samples is not None
    assert len(samples) == 12_000
    store.close()


def test_sound_beyond_the_limit_is_not_kept() -> None:
    store = TurnStore(max_sound_s=1.0)
    for number in range(3):
        store.add(TurnRecord(number, USER, "x"), speechlike(0.6))
    assert [store.sound(record) is not None for record in store.records] == [True, False, False]
    store.close()


def test_an_empty_conversation_says_so() -> None:
    with pytest.raises(InputError, match="empty"):
        TurnStore().archive()
