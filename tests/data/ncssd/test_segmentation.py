"""The segmentation network: its shapes, what it learns from, and that it can be trained anew."""

import numpy as np
import pytest
import torch

from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.ncssd.features import harmonics
from data.ncssd.segmentation import (
    Segmentation,
    SegmentationConfig,
    frames_of,
    load_segmentation,
    segment,
)
from data.ncssd.segmentation_training import NETWORK, TrainingPlan, labels, train
from data.ncssd.truth.clips import Clip
from data.ncssd.truth.timeline import Placed, Timeline
from tests.data.ncssd import made

CONFIGS = (SegmentationConfig(dim=16), SegmentationConfig(num_bins=128, stride=2, dim=16))


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("seconds", [0.0, 0.015, 1.0, 12.37, 31.0])
def test_every_frame_of_any_length_has_chances(config, seconds):
    samples = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * 16_000))
    found = segment(Segmentation(config).eval(), samples.astype(np.float32))
    for chance in (found.speech, found.overlap, found.change):
        assert chance.shape == (samples.shape[0] // 320,)
        assert ((chance >= 0) & (chance <= 1)).all()
    assert (found.overlap <= found.speech + 1e-6).all()


def test_a_frame_has_as_many_inputs_as_the_network_takes():
    for config in CONFIGS:
        frames = frames_of(np.zeros(16_000, np.float32), config)
        assert frames.shape == (50, config.num_inputs)
        logits = Segmentation(config)(torch.from_numpy(frames)[None])
        assert logits.shape == (1, 50, 4)


def test_two_voices_are_two_combs():
    time = np.arange(32_000) / 16_000

    def voice(hz: float) -> np.ndarray:
        return sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 12)).astype(np.float32)

    alone, other = voice(125.0), voice(187.5)  # on bins 8 and 12
    noise = 1e-3 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    peaks = [harmonics(x + noise)[50] > 0.5 for x in (alone, other, alone + other)]
    first = 4  # the lowest bin
    assert peaks[0][16 - first] and not peaks[0][12 - first]
    assert peaks[1][12 - first] and not peaks[1][16 - first]
    assert peaks[2][16 - first] and peaks[2][12 - first]


def test_labels_count_the_voices_and_mark_a_change():
    def placed(voice: str, at: float, seconds: float) -> Placed:
        span = ((0.0, seconds),)
        return Placed(Clip(voice, "", None, span, span), at, 0)  # type: ignore[arg-type]

    line = Timeline([placed("a", 1.0, 2.0), placed("b", 2.8, 1.0), placed("a", 4.0, 1.0)], 6.0)
    count, change = labels(line, 300).T
    assert count[:50].max() == 0 and (count[50:140] == 1).all() and (count[140:150] == 2).all()
    assert (count[190:200] == 0).all()
    assert {150, 200} == {
        round(np.mean(np.flatnonzero(change[a:b]) + a + 0.5)) for a, b in ((100, 180), (180, 250))
    }


def test_it_can_be_trained_anew_and_loaded(tmp_path):
    for number in range(3):
        pair = (number, (number + 1) % 3)
        turns = [
            Turn(i % 2, f"line {i}", samples=made.line(pair[i % 2], i)[:36_000]) for i in range(8)
        ]
        for turn in turns:
            turn.extra["voice"] = f"voice {pair[turn.speaker]}"
        write_ncssd_dialogue(tmp_path / "corpus", Dialogue(str(number), turns))
    weights = tmp_path / "w" / "segmentation.safetensors"
    plan = TrainingPlan(minutes_of_sound=1.0, steps=4, batch=2, limit=3, seed=3)
    train(tmp_path / "corpus", plan, weights)
    model = load_segmentation(weights)
    assert model.config == NETWORK
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert load_segmentation().config.num_inputs >= 80, "the bundled one loads by its own shape"
