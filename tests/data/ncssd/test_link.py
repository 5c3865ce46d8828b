"""Linking of speakers across the dialogues of a source or a show."""

import itertools
import time

import numpy as np
import pytest

from data.ncssd.link import MAX_DISTANCE, link_speakers
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


def test_speakers_of_a_show_share_ids_across_its_episodes():
    rows = [dialogue("a" * 64, 0, 1), dialogue("b" * 64, 0, 2), dialogue("c" * 64, 0, 1)]
    shows = {"a" * 64: "talk", "b" * 64: "talk", "c" * 64: "news"}
    a, b, c = link_speakers(rows, shows)
    assert a["speaker_ids"][0] == b["speaker_ids"][0] and b["speaker_scores"][0] > 0.9
    assert len({*a["speaker_ids"], *b["speaker_ids"], *c["speaker_ids"]}) == 5
    prefix = a["speaker_ids"][0].split("-")[0]
    assert all(one.startswith(prefix) for one in (*a["speaker_ids"], *b["speaker_ids"]))
    assert link_speakers(rows[:1], shows)[0]["speaker_ids"][0].startswith(prefix), "it is stable"
    within = [one["speaker_ids"][0].split("-")[0] for one in link_speakers(rows)]
    assert within == ["a" * 12, "b" * 12, "c" * 12], "without shows, each source is alone"


def naive(points: np.ndarray, owners: list[int]) -> set[frozenset[int]]:
    """Average linkage by trying every pair of groups again and again."""
    groups = [frozenset([i]) for i in range(len(owners))]
    while True:
        pairs = {
            (a, b): float(np.mean([points[i] @ points[j] for i in a for j in b]))
            for a, b in itertools.combinations(groups, 2)
            if not {owners[i] for i in a} & {owners[j] for j in b}
        }
        best = max(pairs, key=lambda pair: pairs[pair], default=None)
        if best is None or pairs[best] <= 1.0 - MAX_DISTANCE:
            return set(groups)
        groups = [one for one in groups if one not in best] + [best[0] | best[1]]


def crowd(dialogues: int, people: int, noise: float, seed: int, host: bool = False) -> list[Row]:
    """Dialogues of one source between random people; a host takes part in all."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((people, 256))
    turns = [{"start": 0.0, "end": 9.0, "speaker": who} for who in (0, 1)]
    rows = []
    for _ in range(dialogues):
        pair = [0, int(rng.integers(1, people))] if host else rng.choice(people, 2, False)
        voices = centres[pair] + noise * rng.standard_normal((2, 256))
        rows.append({"sha256": "a" * 64, "turns": turns, "voices": voices.tolist()})
    return rows


def groups_of(rows: list[Row]) -> set[frozenset[int]]:
    found: dict[str, set[int]] = {}
    for index, row in enumerate(rows):
        for speaker in (0, 1):
            found.setdefault(row["speaker_ids"][speaker], set()).add(2 * index + speaker)
    return set(map(frozenset, found.values()))


@pytest.mark.parametrize("seed", range(4))
def test_fast_linkage_equals_the_naive_one(seed):
    rows = crowd(12, 3 + 2 * seed, 0.15, seed)
    points = np.array([voice for row in rows for voice in row["voices"]])
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    linked = link_speakers(rows)
    assert groups_of(linked) == naive(points, [i // 2 for i in range(24)])
    assert 2 < len(groups_of(linked)) < 24, "something is linked, and something is not"
    for index, row in enumerate(linked):
        for speaker, score in enumerate(row["speaker_scores"]):
            (own,) = [one for one in groups_of(linked) if 2 * index + speaker in one]
            others = sorted(own - {2 * index + speaker})
            true = points[others] @ points[2 * index + speaker] if others else None
            assert score == (None if true is None else pytest.approx(true.mean(), abs=6e-4))


def test_thousands_of_voices_are_linked_in_seconds():
    began = time.process_time()
    linked = link_speakers(crowd(1500, 300, 0.1, 0, host=True))
    assert time.process_time() - began < 15.0
    assert all(row["speaker_ids"][0] != row["speaker_ids"][1] for row in linked)
    assert len({row["speaker_ids"][0] for row in linked}) == 1, "the host is one person"
    assert len({row["speaker_ids"][1] for row in linked}) <= 300
