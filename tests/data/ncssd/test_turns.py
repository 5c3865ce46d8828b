"""Turns and two-speaker windows from known segments."""

import random
from types import SimpleNamespace
from typing import Any

import pytest

from data.ncssd.config import BuildConfig, TurnsConfig
from data.ncssd.turns import Turn, make_turns, run, two_speaker_windows

CONFIG = TurnsConfig()


def test_one_speakers_segments_become_one_turn_until_another_speaks():
    turns = make_turns([(0.0, 1.0, 0), (1.8, 3.0, 0), (3.2, 4.0, 1), (4.1, 5.0, 0)], CONFIG)
    assert [(t.start, t.end, t.speaker) for t in turns] == [
        (0.0, 3.0, 0),
        (3.2, 4.0, 1),
        (4.1, 5.0, 0),
    ]


def test_a_long_pause_ends_a_turn():
    turns = make_turns([(0.0, 1.0, 0), (3.5, 4.0, 0)], CONFIG)
    assert len(turns) == 2


def test_an_answer_in_a_pause_splits_the_turn():
    turns = make_turns([(0.0, 2.0, 0), (2.2, 2.8, 1), (3.0, 5.0, 0)], CONFIG)
    assert [t.speaker for t in turns] == [0, 1, 0]


def test_a_backchannel_is_marked_and_does_not_end_the_turn():
    turns = make_turns([(0.0, 6.0, 0), (2.0, 2.6, 1), (6.3, 9.0, 1)], CONFIG)
    assert [(t.speaker, t.backchannel) for t in turns] == [(0, False), (1, True), (1, False)]
    assert abs(turns[0].overlap - 0.6) < 1e-9
    assert abs(turns[1].overlap - 0.6) < 1e-9
    assert turns[2].overlap == 0


def test_a_very_short_overlap_inside_a_turn_is_no_turn():
    inside = [(0.0, 6.0, 0), (2.0, 2.3, 1), (6.3, 9.0, 1)]
    turns = make_turns(inside, CONFIG)
    assert [t.speaker for t in turns] == [0, 1]
    assert turns[0].overlap == 0
    free = [(0.0, 6.0, 0), (6.2, 6.5, 1), (6.6, 9.0, 0)]
    assert [t.speaker for t in make_turns(free, CONFIG)] == [0, 1, 0]


def test_a_very_short_backchannel_in_its_own_channel_is_kept():
    row = {
        "start": 0.0,
        "end": 20.0,
        "segments": [[0.0, 6.0, 0], [2.0, 2.3, 1], [6.3, 9.0, 1], [9.2, 15.0, 0]],
        "voices": [[1.0, 0.0], [0.0, 1.0]],
        "two_people": [[0, 1, 1.0]],
    }
    context: Any = SimpleNamespace(config=BuildConfig())
    (mono,) = run(dict(row), context, "")
    (stereo,) = run({**row, "label_channels": [0, 1]}, context, "")
    assert len(mono["turns"]) == 3 and len(stereo["turns"]) == 4


def windows(speakers: str) -> list[str]:
    turns = [Turn(i, i + 0.9, ord(c)) for i, c in enumerate(speakers)]
    return ["".join(chr(t.speaker) for t in w) for w in two_speaker_windows(turns)]


def test_a_third_speaker_ends_the_window():
    assert windows("ABABAC") == ["ABABA", "C"]
    assert windows("ABABCDCDC") == ["ABAB", "CDCDC"]
    assert windows("ABABACABAB") == ["ABABA", "CABAB"] or windows("ABABACABAB")[0] == "ABABA"


def test_windows_have_every_turn_once_and_at_most_two_speakers():
    rng = random.Random(0)
    for _ in range(200):
        speakers = "".join(rng.choice("ABC") for _ in range(rng.randint(0, 30)))
        parts = windows(speakers)
        assert "".join(parts) == speakers
        assert all(len(set(part)) <= 2 for part in parts)


def test_pauses_inside_a_turn_are_kept():
    segments = [(0.0, 1.0, 0), (1.4, 2.0, 0), (2.9, 3.5, 0), (4.0, 5.0, 1)]
    first, second = make_turns(segments, TurnsConfig())
    assert first.pauses == [pytest.approx(0.4), pytest.approx(0.9)]
    assert second.pauses == []
