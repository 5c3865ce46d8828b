"""Links speakers across the dialogues of one source."""

from collections import defaultdict

import numpy as np

from data.ncssd.store import Row

MAX_DISTANCE = 0.025  # cosine distance; stricter than within a scene, where timing also helps
_MIN_SECONDS = 4.0  # speakers with less speech are not linked


def link_speakers(rows: list[Row]) -> list[Row]:
    """Adds `speaker_ids` and `speaker_scores`, each for speakers 0 and 1, to every dialogue.

    A score is the mean cosine similarity to the same id's voice in other dialogues, -1 to 1, or
    None if there are no others. The two speakers of a dialogue never share an id.
    """
    by_source: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_source[row["sha256"]].append(index)
    out = [dict(row) for row in rows]
    for sha, indices in by_source.items():
        voices = [(i, s) for i in indices for s in (0, 1)]
        points = np.array([rows[i]["voices"][s] for i, s in voices])
        points /= np.linalg.norm(points, axis=1, keepdims=True) + 1e-9
        seconds = [_seconds(rows[i], s) for i, s in voices]
        groups = _group(points, [i for i, _ in voices], seconds)
        for number, group in enumerate(groups):
            for member in group:
                i, s = voices[member]
                others = [o for o in group if o != member]
                score = float((points[others] @ points[member]).mean()) if others else None
                out[i].setdefault("speaker_ids", ["", ""])[s] = f"{sha[:12]}-{number:03d}"
                out[i].setdefault("speaker_scores", [None, None])[s] = (
                    None if score is None else round(score, 3)
                )
    return out


def _group(points: np.ndarray, owners: list[int], seconds: list[float]) -> list[list[int]]:
    """Average-linkage clusters of voices, with at most one voice of any dialogue, ordered by first
    member."""
    groups = [[i] for i in range(len(owners))]
    similarity = points @ points.T
    while True:
        best, pair = 1.0 - MAX_DISTANCE, None
        for a in range(len(groups)):
            for b in range(a + 1, len(groups)):
                members = groups[a] + groups[b]
                if min(seconds[m] for m in members) < _MIN_SECONDS:
                    continue
                if len({owners[m] for m in members}) < len(members):
                    continue
                mean = float(similarity[np.ix_(groups[a], groups[b])].mean())
                if mean > best:
                    best, pair = mean, (a, b)
        if pair is None:
            return groups
        groups[pair[0]] += groups.pop(pair[1])


def _seconds(row: Row, speaker: int) -> float:
    return sum(t["end"] - t["start"] for t in row["turns"] if t["speaker"] == speaker)
