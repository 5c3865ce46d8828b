"""Quality measures on audio with known values, and the filter."""

import numpy as np
import pytest

from data.audio import resample
from data.audio.snr import estimate_snr
from data.ncssd.config import QualityConfig
from data.ncssd.quality import bandwidth, failures, mos_windows
from tests.data.ncssd import made

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("snr_db", [5.0, 15.0, 30.0])
def test_snr_is_measured_from_the_pauses(snr_db):
    samples = RNG.standard_normal(16_000 * 6).astype(np.float32) * 10 ** (-snr_db / 20)
    for start in (1, 3):
        samples[start * 16_000 : (start + 1) * 16_000] += RNG.standard_normal(16_000)
    assert abs(estimate_snr(samples, [[1.0, 2.0], [3.0, 4.0]]) - snr_db) < 0.5


def test_snr_without_pauses_is_still_estimated():
    samples = RNG.standard_normal(16_000).astype(np.float32)
    assert np.isfinite(estimate_snr(samples, [[0.0, 1.0]]))
    assert np.isfinite(estimate_snr(np.zeros(16_000, np.float32), [[0.0, 1.0]]))


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
def test_a_narrow_bandwidth_is_detected(rate):
    samples = RNG.standard_normal(24_000 * 2).astype(np.float32)
    narrow = resample(resample(samples, 24_000, rate), rate, 24_000)
    assert abs(bandwidth(narrow) - rate / 2) < 600


def test_noise_lowers_dnsmos():
    clean = resample(made.conversation(4), 24_000, 16_000)
    noisy = clean + 0.03 * RNG.standard_normal(clean.shape[0]).astype(np.float32)
    assert 1.0 <= mos_windows(noisy).mean() < mos_windows(clean).mean() - 0.3 <= 5.0


def turn(**changes):
    good = {"snr_db": 30.0, "clipped": 0.0, "bandwidth_hz": 8000, "rate": 3.0, "confidence": 0.5}
    return {**good, **changes}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"snr_db": 3.0}, ["snr"]),
        ({"clipped": 0.01}, ["clipped"]),
        ({"bandwidth_hz": 2500}, ["bandwidth"]),
        ({"rate": 20.0}, ["rate"]),
        ({"rate": None, "confidence": None}, []),
        ({"snr_db": 0.0, "rate": 0.1}, ["snr", "rate"]),
    ],
)
def test_every_failure_is_named(changes, found):
    assert failures(turn(**changes), QualityConfig()) == found


def test_a_least_confidence_can_be_set():
    assert failures(turn(confidence=0.2), QualityConfig(min_confidence=0.3)) == ["confidence"]
    asked = QualityConfig(min_agreement=0.6)
    assert failures(turn(agreement=0.5), asked) == ["agreement"]
    assert failures(turn(agreement=0.6), asked) == failures(turn(agreement=None), asked) == []
    assert failures(turn(agreement=0.0), QualityConfig()) == []
