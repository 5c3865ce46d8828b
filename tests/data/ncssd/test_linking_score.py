"""Scores of speaker ids across the recordings of a show."""

import json
from pathlib import Path

import pytest

from data.ncssd.store import Row
from data.ncssd.truth import report
from data.ncssd.truth.linking import score_linking
from data.ncssd.truth.score import Recording
from tests.data.ncssd.test_truth import built


def recording(sha256: str, *pairs: tuple[str, str]) -> Recording:
    """A recording of one dialogue with the id and the true voice of each speaker."""
    ids, voices = zip(*pairs, strict=True)
    spans = [(5.0 * n, 5.0 * n + 5.0) for n in range(len(pairs))]
    segments = [[a, b, voice] for (a, b), voice in zip(spans, voices, strict=True) if voice]
    turns: list[Row] = [{"start": a, "end": b, "speaker": n} for n, (a, b) in enumerate(spans)]
    dialogue = {"sha256": sha256, "turns": turns, "speaker_ids": list(ids)}
    return Recording({"segments": segments}, Path(), [], [dialogue])


def test_purity_and_coverage_of_ids_are_averaged_over_voices():
    recordings = [
        recording("1", ("x", "A"), ("z", "C")),
        recording("2", ("x", "A"), ("z", "D")),
        recording("3", ("x", "B"), ("y", "A")),
        recording("4", ("q", "A"), ("p", "C")),  # of another show, where A is another's guest
        recording("5", ("x", "A"), ("o", "")),  # one person, taken for two
    ]
    shows = {"1": "talk", "2": "talk", "3": "talk", "4": "news", "5": "talk"}
    first, second, third, fourth, fifth = score_linking(recordings, shows)
    assert first.figures() == pytest.approx(
        {
            "linked_voices": 2,
            "linking_precision": (3 / 4 + 1 / 2) / 2,
            "linking_recall": (3 / 4 + 1) / 2,
            "linking_f1": 2 * (5 / 8) * (7 / 8) / (5 / 8 + 7 / 8),
        }
    )
    assert (second.precision, second.recall) == (first.precision, first.recall)
    assert (third.precision, third.recall) == (1 / 4 + 1, 1 + 1 / 4)
    assert (fourth.precision, fourth.recall) == (2, 2)
    assert (fifth.voices, fifth.precision, fifth.recall) == (1, 3 / 4, 3 / 4)


def test_ids_are_scored_only_if_the_build_links_shows(tmp_path):
    truth, out = tmp_path / "truth", tmp_path / "out"
    built(out, truth, recogniser="none")
    assert "linking_f1" not in report.score_build(truth, out, with_words=False)["all"]
    summary = json.loads((out / "build.json").read_text())
    summary["sources"] = {"0": {"name": "a.wav", "show": "talk"}}
    (out / "build.json").write_text(json.dumps(summary))
    assert report.score_build(truth, out, with_words=False)["all"]["linked_voices"] == 0
