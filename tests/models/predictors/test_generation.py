"""Durations of phones, and pointer advances."""

import numpy as np
import pytest
import torch

from data.errors import InputError
from models.predictors.generation import DurationSampler
from models.predictors.sampling import SamplingOptions
from models.speaker import SpeakOptions

# A phone of about three frames; one phone in ten after it is skipped.
CHANCES = torch.tensor(
    [[0.95, 0.045, 0.005, 0, 0], [0.7, 0.27, 0.03, 0, 0], [0.3, 0.63, 0.07, 0, 0]]
)


def stays(spread: float, count: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """Durations in frames, and advances."""
    generator = torch.Generator().manual_seed(3)
    lengths, advances = [], []
    for _ in range(count):
        stay, length, advance = DurationSampler(spread, generator), 0, 0
        while not advance:
            advance = stay.end(CHANCES[min(length, 2)], generator)
            length += 1
        lengths.append(length)
        advances.append(advance)
    return np.array(lengths), np.array(advances)


def test_spread_1_is_the_models_distribution() -> None:
    lengths, advances = stays(1.0)
    assert abs((lengths == 1).mean() - 0.05) < 0.02
    assert abs((lengths == 2).mean() - 0.95 * 0.3) < 0.03
    assert abs((lengths == 3).mean() - 0.95 * 0.7 * 0.7) < 0.03
    assert abs((advances == 2).mean() - 0.1) < 0.02


def test_narrow_spread_keeps_the_median_and_drops_outliers() -> None:
    wide, _ = stays(1.0)
    lengths, advances = stays(0.4)
    assert np.median(lengths) == np.median(wide) == 3
    assert lengths.std() < 0.7 * wide.std()
    assert (lengths == 1).sum() == 0 and lengths.max() <= 4
    assert (advances == 2).mean() < 0.02
    none, still = stays(0.0, 200)
    assert set(none.tolist()) == {3} and set(still.tolist()) == {1}


def test_spread_must_be_within_0_and_1() -> None:
    assert SpeakOptions(duration_spread=0.7).sampling == SamplingOptions(duration_spread=0.7)
    with pytest.raises(InputError, match="duration_spread is 2"):
        SpeakOptions(duration_spread=2.0)
