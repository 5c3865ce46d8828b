"""Stretches, clusters and overlaps from known parts and embeddings."""

import numpy as np

from data.audio.voice_embedding import unit
from data.ncssd.activity import far_from
from data.ncssd.config import SpeakersConfig
from data.ncssd.powerset import Part
from data.ncssd.speakers import cluster, group_parts, paint
from data.ncssd.stretches import Stretch, _cut, _divide, runs_of

CONFIG = SpeakersConfig()


def voice(which: int, num: int = 1, seed: int = 0) -> np.ndarray:
    """Embeddings [num, 8] near one of the axes."""
    noise = 0.05 * np.random.default_rng(seed).standard_normal((num, 8))
    return unit(np.eye(8)[which] + noise)


def test_runs_are_the_true_ranges_of_a_mask():
    assert runs_of(np.array([0, 1, 1, 0, 1], bool)) == [(1, 3), (4, 5)]
    assert runs_of(np.zeros(3, bool)) == []


def test_single_speech_is_joined_over_short_pauses_only():
    parts = [
        Part(0, 100, (0,)),
        Part(110, 200, (0,)),  # after a short pause
        Part(205, 300, (1,)),  # another voice
        Part(300, 320, (0, 1)),
        Part(320, 400, (1,)),  # after an overlap
        Part(500, 600, (1,)),  # after a long pause
    ]
    assert group_parts(parts, CONFIG) == [
        (0, [(0, 100), (110, 200)]),
        (1, [(205, 300)]),
        (1, [(320, 400)]),
        (1, [(500, 600)]),
    ]
    assert group_parts([], CONFIG) == []


def test_speech_outside_detected_activity_is_ignored():
    far = far_from([[1.0, 2.0]], 200)
    assert runs_of(~far) == [(45, 105)]


def test_a_short_stretch_is_assigned_to_a_voice_nearby():
    made = stretches(0, 1, 0, 1)
    for index, which in enumerate((2, 3, 2, 3)):  # two others, a minute and a half later
        first = 5000 + 200 * index
        made.append(Stretch([(first, first + 150)], voice(which, seed=9 + index)[0]))
    nearly_the_first = unit(np.eye(8)[0] + 0.9 * np.eye(8)[3])
    made.append(Stretch([(5780, 5810)], nearly_the_first))
    cluster(made, CONFIG)
    assert made[-1].label == made[5].label != made[0].label


def test_a_stretch_of_two_voices_is_split_between_them():
    starts = np.arange(0, 400, 20)
    embeddings = np.concatenate([voice(0, 10), voice(1, 10, 1)])
    parts = _cut([(100, 560)], starts, embeddings, np.zeros(600, np.float32), CONFIG)
    assert len(parts) == 2
    assert abs(parts[0].last - 320) <= 45
    assert parts[0].last == parts[1].first
    assert float(parts[0].embedding @ voice(0)[0]) > 0.9
    assert float(parts[1].embedding @ voice(1)[0]) > 0.9


def test_a_stretch_of_one_voice_is_not_split():
    starts = np.arange(0, 400, 20)
    parts = _cut([(0, 460)], starts, voice(0, 20), np.zeros(500, np.float32), CONFIG)
    assert len(parts) == 1 and parts[0].spans == [(0, 460)]


def test_spans_are_divided_in_frames_of_speech():
    spans = [(0, 10), (20, 30)]
    assert _divide(spans, 4) == ([(0, 4)], [(4, 10), (20, 30)])
    assert _divide(spans, 10) == ([(0, 10)], [(20, 30)])
    assert _divide(spans, 13) == ([(0, 10), (20, 23)], [(23, 30)])


def stretches(*voices: int, seconds: float = 3.0) -> list[Stretch]:
    size = round(seconds * 50)
    return [
        Stretch([(i * size, (i + 1) * size)], voice(v, seed=i)[0]) for i, v in enumerate(voices)
    ]


def test_the_number_of_speakers_is_not_fixed():
    for voices in ((0, 0, 0), (0, 1, 0, 1), (0, 1, 2, 0, 1, 2)):
        made = stretches(*voices)
        assert cluster(made, CONFIG).shape[0] == len(set(voices))
        assert [s.label for s in made] == list(voices)


def test_labels_follow_the_order_of_speaking():
    made = stretches(5, 3, 5, 3)
    cluster(made, CONFIG)
    assert [s.label for s in made] == [0, 1, 0, 1]


def test_an_overlap_has_its_local_voices_if_they_also_speak_alone_nearby():
    made = [
        Stretch([(0, 100)], voice(0)[0], 0, track=2),
        Stretch([(110, 150)], voice(1)[0], 1, track=0),
        Stretch([(150, 200)], voice(2)[0], 2, track=1),
        Stretch([(220, 300)], voice(2)[0], 2, track=1),
    ]
    tracks = paint(made, [Part(200, 220, (0, 1))], 3, 400)
    assert tracks[:, 200:220].all(axis=1).tolist() == [False, True, True]


def test_an_overlap_of_unknown_voices_has_the_speakers_before_and_after():
    made = [
        Stretch([(0, 100)], voice(0)[0], 0, track=0),
        Stretch([(120, 200)], voice(1)[0], 1, track=0),
        Stretch([(300, 400)], voice(2)[0], 2, track=0),
    ]
    tracks = paint(made, [Part(100, 120, (1, 2))], 3, 400)
    assert tracks[0, 100:120].all() and tracks[1, 100:120].all()
    assert not tracks[2, :300].any()


def test_an_overlap_within_one_persons_speech_is_an_interjection_by_the_other():
    made = [
        Stretch([(0, 100)], voice(1)[0], 1, track=1),
        Stretch([(420, 500)], voice(0)[0], 0, track=0),
        Stretch([(520, 700)], voice(0)[0], 0, track=0),
    ]
    tracks = paint(made, [Part(500, 520, (0, 1))], 2, 700)
    assert tracks[0, 500:520].all() and tracks[1, 500:520].all()
