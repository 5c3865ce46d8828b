"""The segmentation network: shapes, training examples, and training."""

import random

import numpy as np
import pytest
import torch

from app.cli.build import main
from data.audio.features import harmonics
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.errors import InputError
from data.ncssd import segmentation_training
from data.ncssd.powerset import PERMUTATIONS
from data.ncssd.segmentation import (
    Segmentation,
    SegmentationConfig,
    frames_of,
    load_segmentation,
    segment,
)
from data.ncssd.segmentation_training import (
    TrainingPlan,
    classes_of,
    close_pair,
    loss_of,
    make_examples,
    tracks_of,
    train,
)
from data.ncssd.truth.clips import Clip, read_corpora
from data.ncssd.truth.timeline import Placed, Timeline
from tests.data.ncssd import made

CONFIG = SegmentationConfig(wide=24, dim=16, num_layers=1)


@pytest.mark.parametrize("seconds", [0.0, 0.015, 1.0, 10.0, 12.37, 31.0])
def test_audio_of_any_length_has_probabilities_per_frame(seconds):
    samples = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * 16_000))
    found = segment(Segmentation(CONFIG).eval(), samples.astype(np.float32))
    assert found.shape == (samples.shape[0] // 320, 7)
    assert np.allclose(found.sum(axis=1), 1.0, atol=1e-5)


def test_frames_have_the_networks_number_of_inputs():
    frames = frames_of(np.zeros(16_000 * 2, np.float32), CONFIG)
    assert frames.shape == (100, CONFIG.num_inputs)
    assert Segmentation(CONFIG)(torch.from_numpy(frames)[None]).shape == (1, 100, 7)


def test_two_voices_show_two_harmonic_combs():
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


def placed(voice: str, at: float, seconds: float) -> Placed:
    span = ((0.0, seconds),)
    return Placed(Clip(voice, "", None, span, span), at, 0)  # type: ignore[arg-type]


def test_classes_represent_the_active_voices_per_frame():
    line = Timeline([placed("a", 1.0, 2.0), placed("b", 2.8, 1.0), placed("a", 4.0, 1.0)], 6.0)
    classes = classes_of(tracks_of(line, 300))
    assert classes is not None
    runs = [(0, 50), (50, 140), (140, 150), (150, 190), (190, 200), (200, 250), (250, 300)]
    for (first, last), expected in zip(runs, (0, 1, 4, 2, 0, 1, 0), strict=True):
        assert (classes[first:last] == expected).all(), (first, last)


def test_a_window_with_more_voices_than_tracks_is_skipped():
    line = Timeline([placed(name, i, 0.9) for i, name in enumerate("abcd")], 5.0)
    tracks = tracks_of(line, 250)
    assert classes_of(tracks) is None
    assert classes_of(tracks[:, :140]) is not None


def test_the_loss_is_invariant_to_the_numbering_of_voices():
    torch.manual_seed(0)
    classes = torch.randint(0, 7, (3, 40))
    logits = torch.randn(3, 40, 7)
    losses = [loss_of(logits[..., order], classes) for order in PERMUTATIONS]
    assert all(torch.isclose(loss, losses[0]) for loss in losses)
    perfect = 20.0 * torch.nn.functional.one_hot(classes, 7)
    assert loss_of(perfect[..., PERMUTATIONS[4]], classes) < 1e-3 < losses[0]


def test_interrupted_training_leaves_existing_weights(tmp_path, monkeypatch):
    """From step 50 on, the builder's weights were once replaced by a barely trained network."""
    weights = tmp_path / "segmentation.safetensors"
    weights.write_bytes(b"trained for long")

    def batches(corpora, plan, config, first):
        for _ in range(60):
            yield torch.zeros(1, 4, config.num_inputs), torch.zeros(1, 4, dtype=torch.long)
        raise KeyboardInterrupt

    monkeypatch.setattr(segmentation_training, "_batches", batches)
    with pytest.raises(KeyboardInterrupt):
        train([tmp_path], TrainingPlan(), weights)
    assert weights.read_bytes() == b"trained for long"
    assert list(tmp_path.iterdir()) == [weights]


@pytest.mark.parametrize("verb", ["train-segmentation", "train-voice-encoder", "train-voices"])
def test_training_reports_its_output_first(tmp_path, verb):
    with pytest.raises(SystemExit):
        main([verb, str(tmp_path)])
    for out in (tmp_path, tmp_path / "weights.json"):
        with pytest.raises(InputError, match=r"ends in \.safetensors"):
            main([verb, str(tmp_path), "--out", str(out)])


def write_corpus(root) -> None:
    for number in range(3):
        pair = (number, (number + 1) % 3)
        turns = [
            Turn(i % 2, f"line {i}", samples=made.line(pair[i % 2], i)[:36_000]) for i in range(8)
        ]
        for turn in turns:
            turn.extra["voice"] = f"voice {pair[turn.speaker]}"
        write_ncssd_dialogue(root, Dialogue(str(number), turns))


def test_training_resumes_and_its_weights_load(tmp_path, monkeypatch):
    """Interrupted in its second round, the same call resumes and gives identical bytes."""
    monkeypatch.setattr(segmentation_training, "_LINE_S", 24.0)
    write_corpus(tmp_path / "corpus")
    weights, stopped = tmp_path / "w" / "whole.safetensors", tmp_path / "w" / "halves.safetensors"
    plan = TrainingPlan(minutes_of_sound=0.5, steps=4, rounds=2, batch=2, limit=3, seed=3)
    corpora = [tmp_path / "corpus", tmp_path / "corpus"]
    train(corpora, plan, weights)

    lasts = iter([False, False, False, True])

    def interrupted(logits, classes):
        if next(lasts):
            raise KeyboardInterrupt
        return loss_of(logits, classes)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(segmentation_training, "loss_of", interrupted)
        train(corpora, plan, stopped)
    with pytest.raises(InputError, match="other settings"):
        train(corpora[:1], plan, stopped)
    train(corpora, plan, stopped)
    assert stopped.read_bytes() == weights.read_bytes()
    assert {path.suffixes[0] for path in stopped.parent.iterdir()} == {".safetensors", ".json"}
    model = load_segmentation(weights)
    assert model.config == load_segmentation().config, "the bundled one has the shape in use"
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    clips = read_corpora([tmp_path / "corpus"])
    rounds = [make_examples(clips, plan, model.config, turn)[0] for turn in (0, 0, 1)]
    assert np.array_equal(rounds[0], rounds[1]), "a seed repeats"
    assert not np.array_equal(rounds[0][:2], rounds[2][:2]), "each round has other recordings"


def test_close_pairs_are_two_people_of_similar_pitch():
    span = ((0.0, 1.0),)
    hz = {"kokoro-a": 100.0, "kokoro-a+t1.06": 100.0, "kokoro-b": 108.0, "kokoro-c": 220.0}
    hz |= {f"kokoro-low{i}": 90.0 + i for i in range(8)}
    clips = {v: [Clip(v, "", None, span, span, f0)] * 4 for v, f0 in hz.items()}  # type: ignore[arg-type]
    for seed in range(40):
        first, second = close_pair(clips, random.Random(seed))
        voices = {first[0].voice, second[0].voice}
        assert len(voices) == 2 and voices != {"kokoro-a", "kokoro-a+t1.06"}
        assert "kokoro-c" in voices or max(hz[v] for v in voices) < 120.0


@pytest.mark.parametrize(
    ("phones", "expected"),
    [
        (None, [(0.3, 0.7)]),
        ([["pau", 0.0, 0.1], ["a", 0.1, 1.0]], [(0.3, 0.7)]),
        ([["a", 0.4, 0.6]], [(0.4, 0.6)]),
        ([["a", 0.0, 0.5], ["pau", 0.5, 1.0]], [(0.3, 0.5)]),
        ([["a", 0.2, 0.45], ["pau", 0.45, 0.6], ["b", 0.6, 1.0]], [(0.3, 0.45), (0.6, 0.7)]),
    ],
)
def test_speech_is_the_audible_part_of_the_phones(tmp_path, phones, expected):
    """Kokoro's phones extend up to 0.4 s into the silence after them."""
    rng = np.random.default_rng(0)
    samples = np.full(24_000, 1e-5, np.float32) * rng.standard_normal(24_000)
    samples[7_200:16_800] += 0.1 * rng.standard_normal(9_600)
    for number in range(3):
        turn = Turn(0, "a", samples=samples.astype(np.float32), extra={"voice": f"v{number}"})
        if phones is not None:
            turn.extra["phones"] = phones
        write_ncssd_dialogue(tmp_path, Dialogue(str(number), [turn]))
    found = next(iter(read_corpora([tmp_path]).values()))[0].fine
    assert np.allclose(found, expected, atol=0.021)


def test_several_corpora_are_read_as_one(tmp_path):
    rng = np.random.default_rng(0)
    for corpus, names in (("one", "ab"), ("two", "bc")):
        for number, name in enumerate(names):
            samples = (0.1 * rng.standard_normal(24_000)).astype(np.float32)
            turn = Turn(0, "a", samples=samples, extra={"voice": name})
            write_ncssd_dialogue(tmp_path / corpus, Dialogue(str(number), [turn]))
    both = [tmp_path / "one", tmp_path / "two"]
    assert {name: len(own) for name, own in read_corpora(both).items()} == {"a": 1, "b": 2, "c": 1}
    with pytest.raises(InputError, match="2 voices"):
        read_corpora(both[:1])
    with pytest.raises(InputError, match="1 voices matching"):
        read_corpora(both, least=2)
