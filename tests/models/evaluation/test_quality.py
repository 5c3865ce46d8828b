"""The judges of sound tell good from bad and one voice from another."""

import numpy as np
import pytest

from models.evaluation.quality import (
    centroid,
    dnsmos,
    pesq,
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


def test_pesq_and_stoi_fall_with_noise(speech: np.ndarray, noisy: np.ndarray) -> None:
    pytest.importorskip("pystoi")
    assert stoi(speech, speech) == pytest.approx(1, abs=1e-3) and stoi(speech, noisy) < 0.999


def test_pesq_falls_with_noise(speech: np.ndarray, noisy: np.ndarray) -> None:
    pytest.importorskip("pesq")
    clean, dirty = pesq(speech, speech), pesq(speech, noisy)
    assert clean is not None and dirty is not None
    assert clean > 4.5 > dirty + 1
    assert pesq(np.zeros(24_000, np.float32), np.zeros(24_000, np.float32)) is None
