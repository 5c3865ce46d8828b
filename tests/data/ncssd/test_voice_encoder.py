"""The fine-tuned voice encoder: noise, rooms and telephones hardly move a voice."""

import numpy as np
import pytest

from data.audio import SAMPLE_RATE, models, resample
from data.audio.features import FRAME_S, RATE
from data.audio.voice_embedding import embed_windows, unit
from data.ncssd import training, voice_encoder_training
from data.ncssd.training_plan import TrainingPlan
from data.ncssd.truth.clips import read_corpora
from data.ncssd.truth.conditions import reverberate, telephone
from data.ncssd.truth.sound import add_background
from data.ncssd.voice_encoder import WEIGHTS, encode, load_voice_encoder
from tests.data.ncssd import made
from tests.data.ncssd.test_segmentation import write_corpus

LINES = (0, 3)


def heard(condition: str, voice: int, number: int) -> np.ndarray:
    """A line, `[T]` at 24 kHz, after a condition."""
    samples = made.line(voice, number)
    rng = np.random.default_rng(10 * voice + number)
    if condition == "room":
        return reverberate(samples, 0.4, rng)
    if condition == "telephone":
        return telephone(samples)
    if condition == "clean":
        return samples
    return add_background(samples, np.ones(samples.shape[0], bool), condition, 10.0, rng)


def centre(samples: np.ndarray, network=None) -> np.ndarray:
    """The embedding of a whole recording `[T]` at 24 kHz."""
    samples = resample(samples, SAMPLE_RATE, RATE)
    whole = [(0, round(samples.shape[0] / RATE / FRAME_S))]
    ((_, embeddings),) = embed_windows(samples, [whole], encode=network)
    return unit(embeddings.mean(axis=0))


@pytest.mark.parametrize("condition", ["noise", "music", "room", "telephone"])
def test_the_recording_moves_a_voice_less_than_it_moves_resemblyzers(condition):
    """Compared with resemblyzer's distance between voices, since its space is wider."""
    moved = {}
    for name, network in (("tuned", encode), ("resemblyzer", models.voice_encoder().embed)):
        clean = {(v, n): centre(made.line(v, n), network) for v in range(3) for n in LINES}
        own = [1 - clean[key] @ centre(heard(condition, *key), network) for key in clean]
        apart = [1 - clean[0, n] @ clean[1, n] for n in LINES]
        moved[name] = float(np.mean(own) / np.mean(apart))
    assert moved["tuned"] < 0.7 * moved["resemblyzer"], moved


def test_a_voice_is_nearest_to_itself_in_other_recordings():
    kinds = ("clean", "noise", "music", "room", "telephone")
    points = {
        (voice, kind): centre(heard(kind, voice, LINES[place % 2]), encode)
        for voice in range(3)
        for place, kind in enumerate(kinds)
    }
    for (voice, kind), one in points.items():
        others = {key: float(one @ two) for key, two in points.items() if key != (voice, kind)}
        nearest = max(others, key=others.__getitem__)
        assert nearest[0] == voice, (voice, kind, nearest)


def test_examples_are_pairs_of_a_recording_and_its_clean_embedding(tmp_path):
    write_corpus(tmp_path / "corpus")
    clips = read_corpora([tmp_path / "corpus"])
    plan = TrainingPlan(minutes_of_sound=2.0)
    examples = voice_encoder_training.make_examples(clips, plan)
    assert examples.windows.shape == (len(examples.targets), 120, 40)
    assert np.linalg.norm(examples.targets, axis=1) == pytest.approx(1.0, abs=1e-5)
    again = voice_encoder_training.make_examples(clips, plan)
    assert np.array_equal(examples.windows, again.windows)
    other = voice_encoder_training.make_examples(clips, plan, 1)
    assert examples.windows.shape != other.windows.shape or not np.array_equal(
        examples.windows, other.windows
    )


def test_training_resumes_and_its_weights_load(tmp_path, monkeypatch):
    write_corpus(tmp_path / "corpus")
    corpora, plan = [tmp_path / "corpus"], TrainingPlan(0.5, 4, 2, 2, 1e-4, 3)
    weights, stopped = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    voice_encoder_training.train(corpora, plan, weights)
    save = training.Checkpoint.save

    def save_and_stop(self, *arguments) -> None:
        save(self, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Checkpoint, "save", save_and_stop)
        voice_encoder_training.train(corpora, plan, stopped)
    voice_encoder_training.train(corpora, plan, stopped)
    assert weights.read_bytes() == stopped.read_bytes()
    load_voice_encoder.__wrapped__(weights)


def test_the_bundled_network_is_not_resemblyzers():
    tuned = load_voice_encoder(WEIGHTS).state_dict()
    assert set(tuned) == set(models.voice_encoder().state_dict())
    moved = (tuned["linear.weight"] - models.voice_encoder().state_dict()["linear.weight"]).abs()
    assert float(moved.max()) > 1e-3
