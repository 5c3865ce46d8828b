"""Decides whether two groups of stretches are one person or two.

A threshold on the distance between two centroids is not enough: the embeddings of one reader who
changes manner, or speaks over music, spread further than those of two people on one telephone line.
The features are therefore the distance, its ratio to the spread within the groups, the amount
of speech, and how often the segmentation network takes neighbouring stretches of the two groups for
one local voice. (The rate of alternation was tried and adds nothing.)
"""

import functools
import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data.audio.features import FRAME_S
from data.audio.voice_embedding import unit
from data.errors import check_made
from data.ncssd.stretches import Stretch

WEIGHTS = Path(__file__).parent / "weights" / "one_person.json"
# The spread of few stretches says little, and that of a repeated sentence is almost zero, so
# every group has this many more stretches of a usual spread (cosine distance).
_USUAL_STRETCHES, _USUAL_SPREAD = 4, 0.025
_AXES = 3  # principal components
# Groups are kept apart from this probability of two people on: below 0.5, since in scenes of many
# people a wrong merger costs more, and doubtful dialogues are rejected by `min_two_people` anyway.
_LEAST_CHANCE = 0.4
_MOST_MOVES = 30
_MOST_ROUNDS = 4
_NEAR_S = 5.0  # within which the network's local voices are comparable


@dataclass(frozen=True)
class TwoPeopleModel:
    """Logistic regression on `evidence` for the probability of two people."""

    weights: tuple[float, ...]  # [4]
    bias: float

    def two_people(self, a: list[Stretch], b: list[Stretch]) -> float:
        """The probability that the groups are two people."""
        logit = float(np.dot(self.weights, evidence(a, b))) + self.bias
        return float(1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0))))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@functools.cache
def load_two_people_model(path: Path = WEIGHTS) -> TwoPeopleModel:
    """Loads the fitted model. Raises MissingModelError if its file is missing."""
    check_made(path, "build train-one-person TRUTH...")
    stored = json.loads(path.read_text(encoding="utf-8"))
    return TwoPeopleModel(tuple(stored["weights"]), stored["bias"])


def evidence(a: list[Stretch], b: list[Stretch]) -> np.ndarray:
    """Features `[4]`, as logarithms: the centroids' cosine distance relative to the larger spread,
    the distance itself, the smaller group's seconds of speech, and the odds that neighbouring
    stretches of the groups are different local voices."""
    (one, spread_a), (two, spread_b) = _centre(a), _centre(b)
    distance = max(1.0 - float(one @ two), 1e-3)
    seconds = min(sum(s.seconds for s in group) for group in (a, b))
    return np.log([distance / max(spread_a, spread_b), distance, seconds, _local_odds(a, b)])


def _centre(group: list[Stretch]) -> tuple[np.ndarray, float]:
    """A group's centroid, and its mean cosine distance to it, shrunk towards the usual spread."""
    points = np.stack([s.embedding for s in group]).astype(np.float64)
    seconds = np.array([s.seconds for s in group])
    centre = centre_of(group)
    spread = float(1.0 - (seconds @ (points @ centre)) / seconds.sum())
    num = len(group)
    usual = _USUAL_STRETCHES * _USUAL_SPREAD
    return centre, (num * spread + usual) / (num + _USUAL_STRETCHES)


def _local_odds(a: list[Stretch], b: list[Stretch]) -> float:
    """How many pairs of neighbouring stretches have different local voices, per pair with the same
    one; 1 if the voices are unknown."""
    first, last, track = (_column(a, name)[:, None] for name in ("first", "last", "track"))
    near = round(_NEAR_S / FRAME_S)
    compared = (first - _column(b, "last") < near) & (_column(b, "first") - last < near)
    compared &= np.minimum(track, _column(b, "track")) >= 0
    same = compared & (track == _column(b, "track"))
    num_same = int(same.sum())
    return (1 + int(compared.sum()) - num_same) / (1 + num_same)


def _column(group: list[Stretch], name: str) -> np.ndarray:
    return np.array([getattr(stretch, name) for stretch in group])


def centre_of(group: list[Stretch]) -> np.ndarray:
    """The centroid of a group's embeddings, weighted by length."""
    seconds = np.array([s.seconds for s in group])
    return unit(seconds @ np.stack([s.embedding for s in group]).astype(np.float64))


def split_in_two(
    stretches: list[Stretch], least_s: float
) -> tuple[list[Stretch], list[Stretch]] | None:
    """The two groups of at least `least_s` seconds each whose stretches are most like their
    centroids; None if there are none.

    Spherical two-means, from the signs of each of the first principal components. (Average linkage
    would split off outliers where noise spreads the stretches of similar voices.)
    """
    points = np.stack([s.embedding for s in stretches]).astype(np.float64)
    seconds = np.array([s.seconds for s in stretches])
    best, most = None, -np.inf
    for second in _first_guesses(points, seconds):
        second, like = _two_means(points, seconds, second)
        if min(seconds[second].sum(), seconds[~second].sum()) >= least_s and like > most:
            best, most = second, like
    if best is None:
        return None
    first, second = (
        [s for s, there in zip(stretches, best, strict=True) if there == k] for k in (0, 1)
    )
    return first, second


def _first_guesses(points: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Whether each point is on the positive side of each principal component, bool `[K, N]`."""
    centred = points - seconds @ points / seconds.sum()
    _, _, axes = np.linalg.svd(centred * np.sqrt(seconds)[:, None], full_matrices=False)
    return axes[:_AXES] @ centred.T > 0


def _two_means(
    points: np.ndarray, seconds: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, float]:
    """Moves points `[N, 256]` to the nearer centroid until none moves; returns which are in the
    second group, bool `[N]`, and the sum of their cosines to their centroids, in seconds."""
    like = -np.inf
    for _ in range(_MOST_MOVES):
        sums = np.stack([(seconds * (second == k)) @ points for k in (0, 1)])
        like = float(np.linalg.norm(sums, axis=1).sum())
        nearest = np.diff(points @ unit(sums).T, axis=1)[:, 0] > 0
        if (nearest == second).all():
            break
        second = nearest
    return second, like


def split_into_people(
    stretches: list[Stretch], least_s: float, judge: TwoPeopleModel
) -> list[list[Stretch]]:
    """Splits stretches into groups of one person each.

    They are split in two again and again, groups that are one person after all are merged, and each
    stretch moves to the nearest centroid; all this until nothing changes. (With many people the
    first splits cut through some of them.)
    """
    groups = _merge(_split(stretches, least_s, judge), judge)
    for _ in range(_MOST_ROUNDS):
        before = groups
        nearest = [
            part for group in _to_nearest(groups, least_s) for part in _split(group, least_s, judge)
        ]
        groups = _merge(nearest, judge)
        if _as_sets(groups) == _as_sets(before):
            break
    return groups


def _merge(groups: list[list[Stretch]], judge: TwoPeopleModel) -> list[list[Stretch]]:
    """Merges groups of one person, the likeliest first."""
    groups = list(groups)
    while len(groups) > 1:
        pairs = list(itertools.combinations(range(len(groups)), 2))
        chances = [judge.two_people(groups[i], groups[j]) for i, j in pairs]
        if min(chances) >= _LEAST_CHANCE:
            break
        i, j = pairs[int(np.argmin(chances))]
        groups[i] = groups[i] + groups.pop(j)
    return groups


def _split(
    stretches: list[Stretch], least_s: float, judge: TwoPeopleModel, deeper: bool = True
) -> list[list[Stretch]]:
    """Splits a group in two and its parts again; with `deeper` also parts that look like one
    person, since two parts with several people each are as spread out as one."""
    parts = split_in_two(stretches, least_s)
    if parts is None:
        return [stretches]
    apart = judge.two_people(*parts) >= _LEAST_CHANCE
    if not apart and not deeper:
        return [stretches]
    groups = [group for part in parts for group in _split(part, least_s, judge, apart)]
    return groups if apart else _merge(groups, judge)


def _to_nearest(groups: list[list[Stretch]], least_s: float) -> list[list[Stretch]]:
    """The groups after each stretch has moved to the nearest centroid until none moves; those left
    with less than `least_s` seconds are given up."""
    stretches = [stretch for group in groups for stretch in group]
    points = np.stack([s.embedding for s in stretches]).astype(np.float64)
    seconds = np.array([s.seconds for s in stretches])
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    kept = np.arange(len(groups))
    for _ in range(_MOST_MOVES):
        spoken = np.array([seconds[labels == k].sum() for k in kept])
        if spoken.min() < least_s and len(kept) > 1:
            kept = np.delete(kept, spoken.argmin())
        sums = np.stack([(seconds * (labels == k)) @ points for k in kept])
        nearest = kept[(points @ unit(sums).T).argmax(axis=1)]
        if (nearest == labels).all():
            break
        labels = nearest
    return [[s for s, label in zip(stretches, labels, strict=True) if label == k] for k in kept]


def _as_sets(groups: list[list[Stretch]]) -> set[frozenset[int]]:
    return {frozenset(id(stretch) for stretch in group) for group in groups}
