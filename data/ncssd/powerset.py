"""What the segmentation network answers: chances of which local voices speak, and the likeliest."""

import itertools
from dataclasses import dataclass

import numpy as np

NUM_TRACKS = 3
# which tracks are heard in each class: nobody, one of them, two of them
CLASSES = np.array(
    [
        [track in chosen for track in range(NUM_TRACKS)]
        for number in range(3)
        for chosen in itertools.combinations(range(NUM_TRACKS), number)
    ]
)
# for each renumbering of the tracks, the class that takes each class's place: [6, 7]
PERMUTATIONS = np.array(
    [
        [int(np.flatnonzero((row[list(order)] == CLASSES).all(axis=1))[0]) for row in CLASSES]
        for order in itertools.permutations(range(NUM_TRACKS))
    ]
)
OVERLAPS = CLASSES.sum(axis=1) > 1
_ASIDE = 5  # frames on each side of a change that are compared


@dataclass(frozen=True)
class Part:
    """Frames in which the same local voices speak: one, or two at once."""

    first: int
    last: int
    tracks: tuple[int, ...]


def renumbered(before: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Chances [T, 7] with the tracks numbered as they agree best with the frames of `before`."""
    common = [(before * chances[: before.shape[0], order]).sum() for order in PERMUTATIONS]
    return chances[:, PERMUTATIONS[int(np.argmax(common))]]


def best_path(chances: np.ndarray, switch_cost: float, overlap_gain: float) -> np.ndarray:
    """The likeliest classes [T] of chances [T, 7], where each switch costs something (Viterbi).

    Args:
        chances: per frame.
        switch_cost: in nats; what is heard in fewer frames than it outweighs is a flicker.
        overlap_gain: in nats a frame, for the classes of two voices at once.
    """
    score = np.log(chances + 1e-6) + overlap_gain * OVERLAPS
    total = np.zeros(len(CLASSES))
    came = np.empty(chances.shape, np.int64)
    stay = np.arange(len(CLASSES))
    for frame, gained in enumerate(score):
        best = int(total.argmax())
        came[frame] = np.where(total[best] - switch_cost > total, best, stay)
        total = np.maximum(total, total[best] - switch_cost) + gained
    path = np.empty(chances.shape[0], np.int64)
    at = int(total.argmax())
    for frame in range(chances.shape[0] - 1, -1, -1):
        path[frame] = at
        at = came[frame, at]
    return path


def parts_of(path: np.ndarray) -> list[Part]:
    """Runs of one class that is not silence."""
    edges = np.flatnonzero(np.diff(path, prepend=-1, append=-1))
    return [
        Part(int(a), int(b), tuple(np.flatnonzero(CLASSES[path[a]]).tolist()))
        for a, b in itertools.pairwise(edges)
        if path[a]
    ]


def changes(chances: np.ndarray) -> np.ndarray:
    """How much the voices before each frame differ from those after it, 0 to 1: [T]."""
    tracks = chances @ CLASSES.astype(np.float32)
    num = tracks.shape[0]
    sums = np.cumsum(np.pad(tracks, ((1, 0), (0, 0))), axis=0)
    at = np.arange(num)
    before = sums[at] - sums[np.maximum(at - _ASIDE, 0)]
    after = sums[np.minimum(at + _ASIDE, num)] - sums[at]
    return 0.5 * np.abs(after - before).sum(axis=1) / _ASIDE
