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
_USUAL_STRETCHES, _USUAL_SPREAD = 4, 0.15
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


@dataclass(frozen=True)
class Node:
    """A node of the average-linkage tree of stretches."""

    members: list[Stretch]
    parts: "tuple[Node, Node] | None" = None

    @property
    def seconds(self) -> float:
        return sum(s.seconds for s in self.members)

    def split(self, least_s: float) -> "tuple[Node, Node] | None":
        """The topmost pair of branches with at least `least_s` seconds each; smaller branches above
        it are ignored."""
        node = self
        while node.parts is not None:
            small, large = sorted(node.parts, key=lambda part: part.seconds)
            if small.seconds >= least_s:
                return node.parts
            node = large
        return None


def make_tree(stretches: list[Stretch]) -> Node:
    """Clusters embeddings by average linkage of their cosine distances."""
    from scipy.cluster.hierarchy import linkage

    nodes = [Node([stretch]) for stretch in stretches]
    if len(nodes) == 1:
        return nodes[0]
    points = np.stack([s.embedding for s in stretches]).astype(np.float64)
    for a, b, _, _ in linkage(points, "average", metric="cosine"):
        pair = nodes[int(a)], nodes[int(b)]
        nodes.append(Node(pair[0].members + pair[1].members, pair))
    return nodes[-1]


def split_into_people(tree: Node, least_s: float, judge: TwoPeopleModel) -> list[list[Stretch]]:
    """Splits stretches into groups of one person each.

    The tree is split from its root, then groups of different branches that are one person after
    all are merged, the likeliest first.
    """
    groups = _split(tree, least_s, judge)
    while len(groups) > 1:
        pairs = list(itertools.combinations(range(len(groups)), 2))
        chances = [judge.two_people(groups[i], groups[j]) for i, j in pairs]
        if min(chances) >= 0.5:
            break
        i, j = pairs[int(np.argmin(chances))]
        groups[i] = groups[i] + groups.pop(j)
    return groups


def _split(node: Node, least_s: float, judge: TwoPeopleModel) -> list[list[Stretch]]:
    parts = node.split(least_s)
    if parts is None or judge.two_people(parts[0].members, parts[1].members) < 0.5:
        return [node.members]
    return [group for part in parts for group in _split(part, least_s, judge)]
