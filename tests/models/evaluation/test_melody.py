"""Pitch, spectra and distances on signals with known truth."""

import numpy as np
import pytest

from data.audio import SAMPLE_RATE
from models.evaluation.melody import (
    active_part,
    compare,
    mel_cepstra,
    melody,
    pitch_copy,
    track_pitch,
)
from models.evaluation.sets import say

TEXT = "Nobody in the village had ever seen such a quiet garden before."


def buzz(f0_hz: float, seconds: float = 1.0) -> np.ndarray:
    """Twelve harmonics: clearly voiced."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    waves = [np.sin(2 * np.pi * f0_hz * k * time) / k for k in range(1, 13)]
    return (0.2 * np.sum(waves, axis=0)).astype(np.float32)


@pytest.mark.parametrize("f0_hz", [90.0, 215.0])
def test_pitch_is_right(f0_hz: float) -> None:
    f0 = track_pitch(buzz(f0_hz))
    assert np.median(f0[f0 > 0]) == pytest.approx(f0_hz, rel=0.01)
    assert melody(buzz(f0_hz))["range_semitones"] < 0.3


def test_silence_has_no_melody() -> None:
    found = melody(np.zeros(SAMPLE_RATE, np.float32))
    assert found["f0_hz"] == 0 and found["active_s"] == 0
    assert compare(np.zeros(SAMPLE_RATE, np.float32), buzz(100)) is None


def test_the_active_part_excludes_silence() -> None:
    quiet = np.zeros(SAMPLE_RATE // 2, np.float32)
    assert len(active_part(np.concatenate([quiet, buzz(120), quiet]))) == pytest.approx(
        SAMPLE_RATE, abs=SAMPLE_RATE // 50
    )


def test_an_excited_performance_is_higher_faster_and_louder_than_a_sad_one() -> None:
    excited, sad = (
        melody(say("espeak-en-gb-scotland+m3", TEXT, m).samples) for m in ("excited", "sad")
    )
    assert excited["f0_hz"] > 1.2 * sad["f0_hz"]
    assert excited["active_s"] < 0.85 * sad["active_s"]
    assert excited["level_db"] > sad["level_db"] + 3


def test_distance_of_a_copy_is_zero_and_of_another_voice_large() -> None:
    first, second = (say(v, TEXT).samples for v in ("espeak-en-us", "espeak-en-gb-x-rp+f2"))
    same, other = compare(first, first), compare(first, second)
    assert same is not None and other is not None
    assert same["mcd_db"] == pytest.approx(0, abs=1e-6) and same["f0_rmse_hz"] == 0
    assert other["mcd_db"] > 4 and other["f0_rmse_hz"] > 20 and other["pitch_dtw_hz"] > 20


def test_lost_pitch_counts_as_wrong() -> None:
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    whisper = 0.1 * np.diff(noise, 3, prepend=np.zeros(3)).astype(np.float32)
    assert not track_pitch(whisper).any()
    found = compare(buzz(150.0), whisper)
    assert found is not None and found["mcd_db"] > 0
    assert np.isnan(found["f0_rmse_hz"]) and np.isnan(found["pitch_dtw_hz"])


def test_mel_cepstra_rebuild_a_gain_as_their_first_coefficient() -> None:
    samples = say("espeak-en-us", TEXT).samples
    plain, louder = mel_cepstra(samples), mel_cepstra(2 * samples)
    assert np.median(louder[:, 0] - plain[:, 0]) == pytest.approx(np.log(2), abs=1e-3)
    assert np.abs(np.median(louder[:, 1:] - plain[:, 1:], axis=0)).max() < 1e-3


def test_pitch_errors_are_in_cents() -> None:
    found = pitch_copy(buzz(200.0), buzz(200.0 * 2 ** (50 / 1200)))
    assert found is not None and found["cents"] == pytest.approx(50, abs=12)
    lost = pitch_copy(buzz(100), np.zeros(SAMPLE_RATE, np.float32))  # the worst copy counts too
    assert np.isnan(lost["cents"]) and lost["voicing_errors"] > 0.8
