"""Powerset classes of the segmentation network, and decoding of their probabilities."""

import itertools
from dataclasses import dataclass

import numpy as np

NUM_TRACKS = 3
# tracks active in each class [7, 3]: none, one or two
CLASSES = np.array(
    [
        [track in chosen for track in range(NUM_TRACKS)]
        for number in range(3)
        for chosen in itertools.combinations(range(NUM_TRACKS), number)
    ]
)
# for each permutation of the tracks, the permuted class of each class [6, 7]
PERMUTATIONS = np.array(
    [
        [int(np.flatnonzero((row[list(order)] == CLASSES).all(axis=1))[0]) for row in CLASSES]
        for order in itertools.permutations(range(NUM_TRACKS))
    ]
)
OVERLAPS = CLASSES.sum(axis=1) > 1
_ASIDE = 5  # frames compared on each side of a change


@dataclass(frozen=True)
class Part:
    """Frames from `first` to before `last` in which the same one or two local voices speak."""

    first: int
    last: int
    tracks: tuple[int, ...]


def renumbered(before: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Permutes the tracks of probabilities `[T, 7]` to agree best with the frames `before`."""
    common = [(before * probabilities[: before.shape[0], order]).sum() for order in PERMUTATIONS]
    return probabilities[:, PERMUTATIONS[int(np.argmax(common))]]


def best_path(probabilities: np.ndarray, switch_cost: float, overlap_gain: float) -> np.ndarray:
    """The most likely sequence of classes `[T]` with a penalty per switch (Viterbi).

    Args:
        probabilities: of the classes per frame, `[T, 7]`.
        switch_cost: penalty in nats for each change of class.
        overlap_gain: bonus in nats per frame for classes of two voices.
    """
    score = np.log(probabilities + 1e-6) + overlap_gain * OVERLAPS
    total = np.zeros(len(CLASSES))
    came = np.empty(probabilities.shape, np.int64)
    stay = np.arange(len(CLASSES))
    for frame, gained in enumerate(score):
        best = int(total.argmax())
        came[frame] = np.where(total[best] - switch_cost > total, best, stay)
        total = np.maximum(total, total[best] - switch_cost) + gained
    path = np.empty(probabilities.shape[0], np.int64)
    at = int(total.argmax())
    for frame in range(probabilities.shape[0] - 1, -1, -1):
        path[frame] = at
        at = came[frame, at]
    return path


def parts_of(path: np.ndarray) -> list[Part]:
    """Runs of one class other than silence."""
    edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    return [
        Part(int(a), int(b), tuple(np.flatnonzero(CLASSES[path[a]]).tolist()))
        for a, b in itertools.pairwise(edges)
        if path[a]
    ]


def changes(probabilities: np.ndarray) -> np.ndarray:
    """How much the active voices before and after each frame differ, 0 to 1, `[T]`."""
    tracks = probabilities @ CLASSES.astype(np.float32)
    num = tracks.shape[0]
    sums = np.cumsum(np.pad(tracks, ((1, 0), (0, 0))), axis=0)
    at = np.arange(num)
    before = sums[at] - sums[np.maximum(at - _ASIDE, 0)]
    after = sums[np.minimum(at + _ASIDE, num)] - sums[at]
    return 0.5 * np.abs(after - before).sum(axis=1) / _ASIDE
