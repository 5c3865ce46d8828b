"""Classes of local voices from known probabilities."""

import numpy as np

from data.ncssd.powerset import (
    CLASSES,
    PERMUTATIONS,
    Part,
    best_path,
    changes,
    parts_of,
    renumbered,
)


def probabilities_of(
    *parts: tuple[int, int, tuple[int, ...]], num: int, sure: float = 0.9
) -> np.ndarray:
    """Class probabilities `[num, 7]` of a scene with these voices and silence elsewhere."""
    path = np.zeros(num, np.int64)
    for first, last, tracks in parts:
        path[first:last] = class_of(*tracks)
    out = np.full((num, len(CLASSES)), (1 - sure) / (len(CLASSES) - 1), np.float32)
    out[np.arange(num), path] = sure
    return out


def class_of(*tracks: int) -> int:
    return next(i for i, row in enumerate(CLASSES) if np.flatnonzero(row).tolist() == [*tracks])


def test_permutations_preserve_the_number_of_voices_in_a_class():
    assert CLASSES.sum(axis=1).tolist() == [0, 1, 1, 1, 2, 2, 2]
    assert len({tuple(order) for order in PERMUTATIONS.tolist()}) == 6
    for order in PERMUTATIONS:
        assert sorted(order.tolist()) == list(range(7))
        assert (CLASSES[order].sum(axis=1) == CLASSES.sum(axis=1)).all()
        pair = CLASSES[order[class_of(0)]] | CLASSES[order[class_of(1)]]
        assert (CLASSES[order[class_of(0, 1)]] == pair).all(), "two at once are those two"


def test_parts_are_runs_of_the_same_voices():
    probabilities = probabilities_of(
        (10, 50, (0,)), (50, 60, (0, 1)), (60, 90, (1,)), (95, 120, (1,)), num=150
    )
    assert parts_of(best_path(probabilities, 2.0, 0.0)) == [
        Part(10, 50, (0,)),
        Part(50, 60, (0, 1)),
        Part(60, 90, (1,)),
        Part(95, 120, (1,)),
    ]
    assert parts_of(best_path(probabilities_of(num=30), 2.0, 0.0)) == []
    assert parts_of(best_path(np.zeros((0, 7), np.float32), 2.0, 0.0)) == []


def test_switch_costs_suppress_flicker():
    probabilities = probabilities_of((0, 100, (0,)), num=100, sure=0.6)
    probabilities[50] = probabilities_of((0, 1, (1,)), num=1, sure=0.6)[0]
    assert len(parts_of(best_path(probabilities, 2.0, 0.0))) == 1
    assert len(parts_of(best_path(probabilities, 0.1, 0.0))) == 3


def test_the_overlap_gain_brings_out_likely_overlaps():
    probabilities = probabilities_of((0, 100, (0,)), num=100, sure=0.6)
    probabilities[40:60] = 0.0
    probabilities[40:60, [class_of(0), class_of(0, 1)]] = 0.6, 0.4
    assert [part.tracks for part in parts_of(best_path(probabilities, 2.0, 0.0))] == [(0,)]
    with_gain = parts_of(best_path(probabilities, 2.0, 1.0))
    assert [part.tracks for part in with_gain] == [(0,), (0, 1), (0,)]


def test_a_window_is_renumbered_like_the_one_before():
    scene = probabilities_of((0, 40, (2,)), (40, 60, (1, 2)), (60, 100, (1,)), num=100)
    for order in PERMUTATIONS:
        assert np.allclose(renumbered(scene[:70], scene[:, order]), scene)


def test_changes_peak_at_speaker_changes_only():
    change = changes(probabilities_of((0, 50, (0,)), (50, 100, (1,)), num=100, sure=1.0))
    assert change.shape == (100,) and change.argmax() == 50 and change[50] == 1.0
    assert (change[10:40] == 0).all() and (change[60:90] == 0).all()
