"""The judges rank good above bad audio and tell voices apart."""

import sys

import numpy as np
import pytest

from data.errors import MissingModelError
from data.synthetic.kokoro.store import default_store
from models.evaluation import judges
from models.evaluation.quality import (
    centroid,
    distillmos,
    dnsmos,
    similarity,
    stoi,
    voice_embedding,
)
from models.evaluation.sets import say

TEXTS = ("The price of a small boat went up in March.", "She walked home along the quiet river.")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return say("espeak-en-gb-x-rp+f5", TEXTS[0]).samples


@pytest.fixture(scope="module")
def noisy(speech: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.02, len(speech))
    return (speech + noise).astype(np.float32)


def test_dnsmos_falls_with_noise(speech: np.ndarray, noisy: np.ndarray) -> None:
    assert dnsmos(speech) > dnsmos(noisy) + 0.5
    assert 1 <= dnsmos(np.tile(speech, 4)) <= 5  # longer than a window


def test_a_voice_is_more_like_itself(speech: np.ndarray) -> None:
    own = voice_embedding(say("espeak-en-gb-x-rp+f5", TEXTS[1]).samples)
    other = voice_embedding(say("espeak-en-029+m3", TEXTS[1]).samples)
    mine = voice_embedding(speech)
    assert similarity(mine, own) > 0.8 > similarity(mine, other) + 0.1
    assert similarity(centroid([mine, own]), mine) > similarity(mine, own)
    assert len(voice_embedding(np.zeros(12_000, np.float32))) == 256


@pytest.mark.parametrize("seconds", [0.7, 1.7, 5.0])
def test_embeddings_equal_those_of_the_package(speech: np.ndarray, seconds: float) -> None:
    samples = np.tile(speech, 4)[: round(seconds * 24_000)]
    package = judges.package("resemblyzer", "whose voice it is")
    published = package.VoiceEncoder("cpu", verbose=False)
    expected = published.embed_utterance(package.preprocess_wav(samples, source_sr=24_000))
    assert voice_embedding(samples) == pytest.approx(expected.tolist(), abs=5e-6)


def test_stoi_falls_with_noise(speech: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(0, 1, len(speech))
    found = [stoi(speech, (speech + level * noise).astype(np.float32)) for level in (0, 0.02, 0.2)]
    assert found[0] == pytest.approx(1, abs=1e-3)
    assert found[0] > found[1] + 0.02 > found[2] + 0.2


def test_distillmos_detects_distortion_and_ignores_level(speech: np.ndarray) -> None:
    squared = (0.3 * np.sign(speech) * (np.abs(speech) > 0.003)).astype(np.float32)
    assert distillmos(speech) > distillmos(squared) + 0.3
    assert distillmos(0.1 * speech) == pytest.approx(distillmos(speech), abs=0.01)
    assert 1 <= distillmos(np.tile(speech, 4)) <= 5  # longer than its window
    assert distillmos(np.zeros(24_000, np.float32)) == 1


def test_distillmos_prefers_the_neural_teacher(speech: np.ndarray) -> None:
    if not default_store().complete:
        pytest.skip("Kokoro-82M is not here (launch.py data teacher)")
    natural = say("kokoro-af_heart", TEXTS[0]).samples
    assert distillmos(natural) > 3.8 > distillmos(speech) + 1


def test_a_judge_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distillmos", None)
    judges.distillmos.cache_clear()
    with pytest.raises(MissingModelError, match=r"DistillMOS.*requirements-judges\.txt"):
        distillmos(np.ones(24_000, np.float32))
