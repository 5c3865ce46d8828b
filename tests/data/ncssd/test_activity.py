"""Spans and scenes from known probabilities."""

import numpy as np

from data.audio.activity import speech_spans
from data.ncssd.activity import split_scenes
from data.ncssd.config import ActivityConfig

STEP = 512 / 16_000


def spans_of(*marks: tuple[float, float], duration: float) -> list[list[float]]:
    time = np.arange(round(duration / STEP)) * STEP
    chance = np.zeros(time.shape[0], np.float32)
    for start, end in marks:
        chance[(time >= start) & (time < end)] = 0.9
    return speech_spans(chance, duration)


def test_speech_is_found_where_it_is():
    (span,) = spans_of((1.0, 3.0), duration=5.0)
    assert abs(span[0] - 1.0) <= STEP and abs(span[1] - 3.0) <= STEP


def test_short_silences_do_not_split_speech_and_short_noises_are_not_speech():
    assert len(spans_of((1.0, 2.0), (2.1, 3.0), duration=5.0)) == 1
    assert spans_of((1.0, 1.05), duration=5.0) == []


def test_a_probability_within_the_hysteresis_continues_speech_but_does_not_start_it():
    chance = np.full(100, 0.4, np.float32)
    assert speech_spans(chance, 3.2) == []
    chance[:3] = 0.6
    assert speech_spans(chance, 3.2) == [[0.0, 3.2]]


def test_the_last_scene_is_kept():
    """The published pipeline loses everything after the last long silence."""
    scenes = split_scenes([[0.0, 20.0], [25.0, 50.0], [60.0, 90.0]], ActivityConfig())
    assert [(s[0][0], s[-1][1]) for s in scenes] == [(0.0, 20.0), (25.0, 50.0), (60.0, 90.0)]


def test_only_silences_over_four_seconds_split_scenes():
    assert len(split_scenes([[0.0, 10.0], [14.0, 20.0]], ActivityConfig())) == 1
    assert len(split_scenes([[0.0, 10.0], [14.1, 20.0]], ActivityConfig())) == 2


def test_no_scene_is_longer_than_the_limit_and_nothing_is_lost():
    spans = [[i * 5.0, i * 5.0 + 4.0 - (i % 7) * 0.2] for i in range(400)]
    config = ActivityConfig(max_scene_s=120.0)
    scenes = split_scenes(spans, config)
    assert [span for scene in scenes for span in scene] == spans
    assert max(s[-1][1] - s[0][0] for s in scenes) <= 120.0


def test_a_span_longer_than_the_limit_is_split_in_mid_speech():
    scenes = split_scenes([[0.0, 250.0]], ActivityConfig(max_scene_s=100.0))
    assert scenes == [[[0.0, 100.0]], [[100.0, 200.0]], [[200.0, 250.0]]]
