"""Turns with their audio, and the archive for other tools."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from app.history import AGENT, USER, DialogueHistory, TurnRecord
from data.dialogue import check_ncssd, read_dialogue
from data.errors import InputError
from tests.app.user_sound import speechlike


def filled() -> DialogueHistory:
    history = DialogueHistory()
    history.add(TurnRecord(history.number(), USER, "hello | there"), speechlike(0.5))
    history.add(
        TurnRecord(history.number(), AGENT, "Nice to", cut=True, intended="Nice to meet you"),
        speechlike(0.3, 200),
    )
    history.add(TurnRecord(history.number(), USER, "typed", typed=True), None)
    return history


def test_audio_is_returned() -> None:
    history = filled()
    sound = history.sound(history.turns[1])
    assert sound is not None
    assert np.abs(sound - speechlike(0.3, 200)).max() < 1e-4
    assert history.sound(history.turns[2]) is None
    history.close()


def test_removing_a_turn_leaves_no_gap() -> None:
    history = DialogueHistory()
    history.add(TurnRecord(0, USER, "one"), speechlike(0.5))
    assert history.take_back(5) is None
    assert history.take_back(0) is not None
    history.add(TurnRecord(0, USER, "whole"), speechlike(0.2, 300))
    sound = history.sound(history.turns[0])
    assert sound is not None
    assert np.abs(sound - speechlike(0.2, 300)).max() < 1e-4
    history.close()


def test_the_archive_is_a_dialogue(tmp_path: Path) -> None:
    history = filled()
    zipfile.ZipFile(io.BytesIO(history.archive())).extractall(tmp_path)
    assert check_ncssd(tmp_path) == []
    dialogue = read_dialogue(tmp_path / "1")
    assert [turn.speaker for turn in dialogue.turns] == [0, 1, 0]
    assert dialogue.turns[1].extra["intended"] == "Nice to meet you"
    samples = dialogue.turns[0].load()
    assert samples is not None
    assert len(samples) == 12_000
    history.close()


def test_audio_beyond_the_limit_is_dropped() -> None:
    history = DialogueHistory(max_sound_s=1.0)
    for number in range(3):
        history.add(TurnRecord(number, USER, "x"), speechlike(0.6))
    assert [history.sound(record) is not None for record in history.turns] == [True, False, False]
    history.close()


def test_an_empty_conversation_has_no_archive() -> None:
    with pytest.raises(InputError, match="empty"):
        DialogueHistory().archive()


@pytest.mark.parametrize(
    ("text", "played_s", "heard"),
    [
        ("Nice to meet you.", 0.45, "Nice to meet"),
        ("Nice to meet you.", 0.4, "Nice to"),
        ("Nice to meet you.", 0.01, "Nice"),
        ("Nice to meet you.", 0.0, ""),
        ("Nice  to, meet you.", 0.3, "Nice  to,"),
        ("Nice to meet you.", 9.0, "Nice to meet you."),
        ("No word is timed.", 1.0, ""),
    ],
)
def test_an_interruption_truncates_text_and_audio_together(
    text: str, played_s: float, heard: str
) -> None:
    history = DialogueHistory()
    words = [] if text.startswith("No") else ["Nice", "to", "meet", "you"]
    turn = TurnRecord(history.number(), AGENT, text)
    turn.words = [(word, 0.2 * i, 0.2 * (i + 1)) for i, word in enumerate(words)]
    sound = speechlike(0.8)
    history.add(turn, sound)
    cut = history.heard_until(turn.number, played_s)
    assert (cut.text, cut.intended, cut.cut) == (heard, text, True)
    assert cut.seconds == min(played_s, 0.8)
    kept = history.sound(cut)
    assert (0 if kept is None else len(kept)) == min(round(played_s * 24_000), len(sound))
    history.add(TurnRecord(history.number(), USER, "next"), speechlike(0.3, 300))
    following = history.sound(history.turns[-1])
    assert following is not None
    assert np.abs(following - speechlike(0.3, 300)).max() < 1e-4
    history.close()
