"""A change of manner does not split one person; two similar voices stay two."""

import numpy as np
import pytest

from data.audio.voice_embedding import unit
from data.ncssd.one_person import (
    TwoPeopleModel,
    centre_of,
    evidence,
    load_two_people_model,
    split_in_two,
    split_into_people,
)
from data.ncssd.one_person_training import fit
from data.ncssd.stretches import Stretch

DIM = 256
# The cases were measured in a projected space; distances between embeddings are a fifth of those.
_NARROW = 5.0


def group(rng: np.random.Generator, centre: np.ndarray, spread: float, num: int) -> list[Stretch]:
    """Stretches of 2 s around a centre, at a tangent distance of `spread`."""
    noise = rng.standard_normal((num, DIM))
    points = unit(centre + spread * unit(noise))
    starts = (rng.permutation(400)[:num] * 100).tolist()
    return [Stretch([(a, a + 100)], p) for a, p in zip(starts, points, strict=True)]


def pair(distance: float, spread: float, num: int, seed: int) -> tuple[list[Stretch], ...]:
    """Two groups with centres at a cosine distance of `distance` in the projected space."""
    distance, spread = distance / _NARROW, spread / np.sqrt(_NARROW)
    rng = np.random.default_rng(seed)
    one, aside = unit(rng.standard_normal((2, DIM)))
    aside = unit(aside - (aside @ one) * one)
    cosine = 1.0 - distance
    two = cosine * one + np.sqrt(1.0 - cosine**2) * aside
    return group(rng, one, spread, num), group(rng, two, spread, num)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("distance", "spread", "num", "two"),
    [
        (0.12, 0.60, 10, False),  # one reader changing manner
        (0.21, 0.40, 25, True),  # two people on a telephone line
        (0.14, 0.80, 12, False),  # one reader over music
        (0.04, 0.40, 25, False),
        (0.85, 0.50, 20, True),  # a man and a woman
        (0.85, 0.50, 5, True),  # one of whom speaks little
        (0.40, 0.45, 20, True),
        (0.12, 0.30, 3, False),  # too little to decide
    ],
)
def test_the_distance_is_judged_relative_to_spread_and_duration(distance, spread, num, two, seed):
    a, b = pair(distance, spread, num, seed)
    chance = load_two_people_model().two_people(a, b)
    assert (chance > 0.5) == two, chance
    assert load_two_people_model().two_people(b, a) == pytest.approx(chance)


@pytest.mark.parametrize("seed", range(5))
def test_the_number_of_people_is_found(seed):
    judge = load_two_people_model()
    rng = np.random.default_rng(seed)
    for num in (1, 2, 3, 8, 14):
        centres = unit(rng.standard_normal((num, DIM)))
        groups = [group(rng, centre, 0.5, 12) for centre in centres]
        found = split_into_people([s for g in groups for s in g], 4.0, judge)
        assert sorted(map(len, found)) == [12] * num
        assert {frozenset(map(id, g)) for g in groups} == {frozenset(map(id, g)) for g in found}


def test_too_little_speech_is_not_a_separate_person():
    rng = np.random.default_rng(1)
    one, other = unit(rng.standard_normal((2, DIM)))
    some = group(rng, one, 0.4, 12) + group(rng, other, 0.4, 1)
    assert len(split_into_people(some, 4.0, load_two_people_model())) == 1
    alone = group(rng, one, 0.4, 1)
    assert split_into_people(alone, 4.0, load_two_people_model()) == [alone]


@pytest.mark.parametrize("seed", range(3))
def test_two_repeated_sentences_are_not_two_people(seed):
    """Stretches of one sentence are all but equal; the spread of such groups says nothing."""
    assert load_two_people_model().two_people(*pair(0.2, 0.05, 3, seed)) < 0.5


def test_the_networks_local_voices_tell_two_similar_people_apart():
    judge = load_two_people_model()
    chances = []
    for tracks in ((0, 0), (-1, -1), (0, 1)):
        groups = pair(0.25, 0.5, 8, 4)
        for number, (stretches, track) in enumerate(zip(groups, tracks, strict=True)):
            for index, stretch in enumerate(stretches):  # the groups alternate
                first = 250 * index + 125 * number
                stretch.spans, stretch.track = [(first, first + 100)], track
        chances.append(judge.two_people(*groups))
    assert chances[0] < chances[1] < chances[2]


class _Angle:
    """Two people if the centroids' angle is over 45 degrees."""

    def two_people(self, a: list[Stretch], b: list[Stretch]) -> float:
        return float(centre_of(a) @ centre_of(b) < 0.7)


def test_one_person_on_both_sides_of_a_split_is_merged():
    """The middle one of three voices is divided by the first split, and becomes one group again."""
    angles = np.radians([0, 0, 0, 70, 70, 110, 110, 180, 180, 180])
    points = np.pad(np.stack([np.cos(angles), np.sin(angles)], 1), ((0, 0), (0, DIM - 2)))
    some = [Stretch([(200 * i, 200 * i + 150)], p) for i, p in enumerate(points)]
    assert sorted(map(len, split_in_two(some, 4.0) or ())) == [5, 5]
    groups = split_into_people(some, 4.0, _Angle())
    assert sorted(map(len, groups)) == [3, 3, 4]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_similar_voices_spread_by_noise_are_split(share, seed):
    """Average linkage splits off outliers here instead."""
    one, two = pair(0.35, 0.8, 60, seed)
    two = two[: round(60 * share)]
    parts = split_in_two(one + two, 4.0)
    assert parts is not None
    right = sum(
        len({id(s) for s in a} & {id(s) for s in b}) for a, b in zip(parts, (one, two), strict=True)
    )
    right = max(right, len(one) + len(two) - right)
    assert right >= 0.9 * len(one + two)


def test_no_group_has_less_speech_than_asked_for():
    rng = np.random.default_rng(3)
    one, other = unit(rng.standard_normal((2, DIM)))
    some = group(rng, one, 0.3, 20) + group(rng, other, 0.3, 1)
    parts = split_in_two(some, 4.0)
    assert parts is None or min(sum(s.seconds for s in part) for part in parts) >= 4.0
    assert split_in_two(some[:1], 4.0) is None


def test_the_fit_separates_one_person_from_two():
    rng = np.random.default_rng(2)
    examples = []
    for seed in range(120):
        two = bool(seed % 3 == 0)
        distance = rng.uniform(0.3, 0.8) if two else rng.uniform(0.02, 0.15)
        examples.append((evidence(*pair(distance, 0.5, 10, seed)), two))
    judge = fit(examples)
    assert isinstance(judge, TwoPeopleModel)
    right = [(judge.two_people(*pair(0.5, 0.5, 10, s)) > 0.5) for s in range(200, 210)]
    right += [(judge.two_people(*pair(0.05, 0.5, 10, s)) < 0.5) for s in range(200, 210)]
    assert all(right)
