"""Links speakers across the dialogues of one source, or of all episodes of one show."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from data.ncssd.store import Row

MAX_DISTANCE = 0.025  # cosine distance; stricter than within a scene, where timing also helps
_MIN_SECONDS = 4.0  # speakers with less speech are not linked
_BLOCK = 1024  # voices compared with all others at a time


def link_speakers(rows: list[Row], shows: Mapping[str, str] | None = None) -> list[Row]:
    """Adds `speaker_ids` and `speaker_scores`, each for speakers 0 and 1, to every dialogue.

    A score is the mean cosine similarity to the same id's voice in other dialogues, -1 to 1, or
    None if there are no others. The two speakers of a dialogue never share an id. An id begins with
    a hash of the source, or of the show.

    Args:
        rows: dialogues, with `sha256`, `turns` and `voices`.
        shows: the show of each source by its SHA-256; speakers are linked across the sources of a
            show. None: only within a source.
    """
    together: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        together[_origin(row["sha256"], shows)].append(index)
    out: list[Row] = [
        {**row, "speaker_ids": ["", ""], "speaker_scores": [None, None]} for row in rows
    ]
    for origin, indices in together.items():
        voices = [(i, s) for i in indices for s in (0, 1)]
        points = np.array([rows[i]["voices"][s] for i, s in voices])
        points /= np.linalg.norm(points, axis=1, keepdims=True) + 1e-9
        seconds = np.array([_seconds(rows[i], s) for i, s in voices])
        groups = _group(points, np.array([i for i, _ in voices]), seconds)
        for number, group in enumerate(groups):
            scores = _scores(points[group])
            for member, score in zip(group, scores, strict=True):
                i, s = voices[member]
                out[i]["speaker_ids"][s] = f"{origin[:12]}-{number:03d}"
                out[i]["speaker_scores"][s] = score
    return out


def _origin(sha256: str, shows: Mapping[str, str] | None) -> str:
    """The hash of a dialogue's source, or of its show."""
    return sha256 if shows is None else hashlib.sha256(shows[sha256].encode()).hexdigest()


def _group(points: np.ndarray, owners: np.ndarray, seconds: np.ndarray) -> list[list[int]]:
    """Average-linkage clusters of voices `[N, D]`, with at most one voice of any dialogue
    (`owners`, `[N]`), ordered by first member."""
    long = np.flatnonzero(seconds >= _MIN_SECONDS)
    groups = [[i] for i in np.flatnonzero(seconds < _MIN_SECONDS).tolist()]
    for part in _parts(points[long]):
        members = long[part]
        groups += [members[own].tolist() for own in _merge(points[members], owners[members])]
    return sorted(groups)


def _parts(points: np.ndarray) -> list[np.ndarray]:
    """Divides voices `[N, D]` so that those of two parts are never similar enough to be linked."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    single = points.astype(np.float32)
    limit = 1.0 - MAX_DISTANCE - 1e-4  # below by more than single precision may err
    near = [single[i : i + _BLOCK] @ single.T > limit for i in range(0, len(single), _BLOCK)]
    if not near:
        return []
    number, labels = connected_components(csr_array(np.concatenate(near)), directed=False)
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.cumsum(np.bincount(labels, minlength=number))[:-1])


def _merge(points: np.ndarray, owners: np.ndarray) -> list[list[int]]:
    """The clusters of one part.

    The most similar pair of groups is merged first. Merging brings no group closer to a third, so
    the similarity of a group to its nearest can only fall; it is looked up again only when the last
    known value is the greatest.
    """
    groups = {i: [i] for i in range(len(owners))}
    # mean similarity of two groups; minus infinity if they share a dialogue or one is gone
    mean = points @ points.T
    mean[owners[:, None] == owners] = -np.inf
    sizes = np.ones(len(owners))
    nearest, best = mean.argmax(axis=1), mean.max(axis=1)
    while True:
        a = int(best.argmax())
        if best[a] <= 1.0 - MAX_DISTANCE:
            return list(groups.values())
        b = int(nearest[a])
        if mean[a, b] == best[a]:
            a, b = min(a, b), max(a, b)
            merged = (sizes[a] * mean[a] + sizes[b] * mean[b]) / (sizes[a] + sizes[b])
            mean[a] = mean[:, a] = merged
            mean[b] = mean[:, b] = best[b] = -np.inf
            sizes[a] += sizes[b]
            groups[a] += groups.pop(b)
        nearest[a] = mean[a].argmax()
        best[a] = mean[a, nearest[a]]


def _scores(points: np.ndarray) -> list[float | None]:
    """The mean similarity of each of a group's voices `[N, D]` to the others."""
    number = len(points)
    if number == 1:
        return [None]
    own = (points * points).sum(axis=1)
    others = (points @ points.sum(axis=0) - own) / (number - 1)
    return [round(float(score), 3) for score in others]


def _seconds(row: Row, speaker: int) -> float:
    return sum(t["end"] - t["start"] for t in row["turns"] if t["speaker"] == speaker)
