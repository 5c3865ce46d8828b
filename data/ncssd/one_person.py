"""Whether two groups of stretches are one person or two.

A threshold on the distance of two centroids will not do: a reader who changes his manner, or is
heard through music, spreads further than two people on one telephone line lie apart. The distance
counts as a multiple of the spread within the groups, too, and the more the longer they speak.
(How often they alternate was tried and adds nothing to these.)
"""

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data.errors import check_made
from data.ncssd.stretches import Stretch, unit

WEIGHTS = Path(__file__).parent / "weights" / "one_person.json"
_LEAST_SPREAD = 0.02  # cosine distance; groups of one stretch or two have none of their own


@dataclass(frozen=True)
class OnePerson:
    """Logistic regression on `evidence`: the odds of two people."""

    weights: tuple[float, float, float]
    bias: float

    def two_people(self, a: list[Stretch], b: list[Stretch]) -> float:
        """The chance that the groups are two people, 0 to 1."""
        logit = float(np.dot(self.weights, evidence(a, b))) + self.bias
        return float(1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0))))

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


@functools.cache
def load_one_person(path: Path = WEIGHTS) -> OnePerson:
    """Raises MissingModelError when its file is not there."""
    check_made(path, "build train-one-person TRUTH...")
    stored = json.loads(path.read_text(encoding="utf-8"))
    return OnePerson(tuple(stored["weights"]), stored["bias"])


def evidence(a: list[Stretch], b: list[Stretch]) -> np.ndarray:
    """Logs [3] of the centroids' cosine distance over the wider group's spread, of the distance
    itself, and of the smaller group's seconds."""
    (one, spread_a, seconds_a), (two, spread_b, seconds_b) = _centre(a), _centre(b)
    distance = max(1.0 - float(one @ two), 1e-3)
    ratio = distance / max(spread_a, spread_b, _LEAST_SPREAD)
    return np.log([ratio, distance, min(seconds_a, seconds_b)])


def _centre(group: list[Stretch]) -> tuple[np.ndarray, float, float]:
    """A group's centroid, the mean cosine distance to it, and its seconds."""
    points = np.stack([s.embedding for s in group]).astype(np.float64)
    seconds = np.array([s.seconds for s in group])
    centre = centre_of(group)
    return centre, float(1.0 - (seconds @ (points @ centre)) / seconds.sum()), float(seconds.sum())


def centre_of(group: list[Stretch]) -> np.ndarray:
    """The centroid of a group's embeddings, each weighted by its length."""
    seconds = np.array([s.seconds for s in group])
    return unit(seconds @ np.stack([s.embedding for s in group]).astype(np.float64))


@dataclass(frozen=True)
class Node:
    """A branch of the tree that average linkage makes of stretches."""

    members: list[Stretch]
    parts: "tuple[Node, Node] | None" = None

    @property
    def seconds(self) -> float:
        return sum(s.seconds for s in self.members)

    def split(self, least_s: float) -> "tuple[Node, Node] | None":
        """The topmost two branches that both have speech enough to be people; smaller ones on
        the way down to them are left aside."""
        node = self
        while node.parts is not None:
            small, large = sorted(node.parts, key=lambda part: part.seconds)
            if small.seconds >= least_s:
                return node.parts
            node = large
        return None


def make_tree(stretches: list[Stretch]) -> Node:
    """Average linkage of the embeddings' cosine distances."""
    from scipy.cluster.hierarchy import linkage

    nodes = [Node([stretch]) for stretch in stretches]
    if len(nodes) == 1:
        return nodes[0]
    points = np.stack([s.embedding for s in stretches]).astype(np.float64)
    for a, b, _, _ in linkage(points, "average", metric="cosine"):
        pair = nodes[int(a)], nodes[int(b)]
        nodes.append(Node(pair[0].members + pair[1].members, pair))
    return nodes[-1]


def people(node: Node, least_s: float, judge: OnePerson) -> list[list[Stretch]]:
    """The groups of stretches that are one person each."""
    parts = node.split(least_s)
    if parts is None or judge.two_people(parts[0].members, parts[1].members) < 0.5:
        return [node.members]
    return [group for part in parts for group in people(part, least_s, judge)]
