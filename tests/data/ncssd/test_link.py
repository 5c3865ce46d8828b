"""Linking of speakers across the dialogues of a source."""

import numpy as np

from data.ncssd.link import link_speakers
from data.ncssd.store import Row

AXES = np.eye(6)


def dialogue(sha: str, first: int, second: int, seconds: float = 10.0) -> Row:
    noise = 0.05 * np.random.default_rng(first * 7 + second).standard_normal((2, 6))
    turns = [{"start": 0.0, "end": seconds, "speaker": 0}]
    turns.append({"start": seconds, "end": 2 * seconds, "speaker": 1})
    voices = (np.stack([AXES[first], AXES[second]]) + noise).tolist()
    return {"sha256": sha, "turns": turns, "voices": voices}


def test_the_same_voice_has_one_id_and_a_score():
    a, b = link_speakers([dialogue("a" * 64, 0, 1), dialogue("a" * 64, 1, 2)])
    assert a["speaker_ids"][1] == b["speaker_ids"][0]
    assert a["speaker_scores"][1] > 0.9
    assert len({*a["speaker_ids"], *b["speaker_ids"]}) == 3
    assert a["speaker_scores"][0] is None and b["speaker_scores"][1] is None


def test_other_sources_and_the_other_speaker_never_share_an_id():
    a, b = link_speakers([dialogue("a" * 64, 0, 0), dialogue("b" * 64, 0, 1)])
    assert len({*a["speaker_ids"], *b["speaker_ids"]}) == 4


def test_a_voice_with_little_speech_is_not_linked():
    a, b = link_speakers([dialogue("a" * 64, 0, 1), dialogue("a" * 64, 0, 2, seconds=2.0)])
    assert a["speaker_ids"][0] != b["speaker_ids"][0]
