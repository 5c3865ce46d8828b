"""Automatic gain: quiet microphones are amplified, ordinary ones pass unchanged."""

import numpy as np
import pytest

from app.level import Leveller
from data.audio import SAMPLE_RATE
from tests.app.stage import Stage
from tests.app.user_sound import silence, speechlike


def at_dbfs(level: float, seconds: float = 2.0) -> np.ndarray:
    sound = speechlike(seconds)
    return (sound * 10 ** (level / 20) / np.sqrt(np.mean(sound**2))).astype(np.float32)


def levelled(sound: np.ndarray, step: int = 480) -> np.ndarray:
    leveller = Leveller()
    return np.concatenate(
        [leveller.push(sound[at : at + step]) for at in range(0, len(sound), step)]
    )


def dbfs(sound: np.ndarray) -> float:
    return 20 * float(np.log10(np.sqrt(np.mean(sound**2))))


@pytest.mark.parametrize("level", [-55, -52, -50, -46, -40, -30, -20])
def test_speech_of_any_level_is_detected(level: float) -> None:
    stage = Stage("i won the race")
    room = 10 ** ((level - 30) / 20) * np.random.default_rng(2).standard_normal(SAMPLE_RATE)
    stage.say(np.concatenate([room, at_dbfs(level), room]).astype(np.float32))
    turn = next(event for event in stage.of("turn") if event["who"] == "user")
    assert turn["text"] == "i won the race"
    assert 1.8 <= turn["seconds"] <= 2.8


@pytest.mark.parametrize("level", [-56, -50, -45, -42])
def test_quiet_speech_is_raised_to_a_working_level(level: float) -> None:
    sound = levelled(np.concatenate([1e-2 * silence(1.0), at_dbfs(level, 4.0)]))
    assert -27 <= dbfs(sound[-SAMPLE_RATE:]) <= -15


@pytest.mark.parametrize("level", [-34, -26, -20, -12])
def test_ordinary_speech_passes_unchanged(level: float) -> None:
    sound = np.concatenate([silence(1.0), at_dbfs(level), silence(1.0)])
    assert np.array_equal(levelled(sound), sound)


@pytest.mark.parametrize("onset", [-60, -50, -45, -42])
def test_a_soft_onset_of_ordinary_speech_passes_unchanged(onset: float) -> None:
    """The first word was raised until its vowel came."""
    sound = np.concatenate([1e-2 * silence(1.0), at_dbfs(onset, 0.2), at_dbfs(-26)])
    assert np.array_equal(levelled(sound.astype(np.float32)), sound)


def test_silence_hiss_and_clicks_are_not_amplified() -> None:
    clicks = silence(6.0)
    clicks[::12_000] = 0.02
    for sound in (np.zeros(48_000, np.float32), silence(6.0), clicks):
        assert np.array_equal(levelled(sound), sound)


def test_a_shout_after_quiet_speech_is_not_clipped_for_long() -> None:
    sound = np.concatenate([at_dbfs(-50, 3.0), at_dbfs(-18, 1.0)])
    loud = levelled(sound)[3 * SAMPLE_RATE :]
    assert np.mean(np.abs(loud) >= 1.0) < 0.05
    assert np.array_equal(loud[SAMPLE_RATE // 4 :], sound[3 * SAMPLE_RATE :][SAMPLE_RATE // 4 :])


def test_softer_speech_stays_softer() -> None:
    sound = np.concatenate([at_dbfs(-46, 3.0), at_dbfs(-54, 1.0)])
    out = levelled(sound)
    fall = dbfs(out[2 * SAMPLE_RATE : 3 * SAMPLE_RATE]) - dbfs(out[3 * SAMPLE_RATE :])
    assert 5 <= fall <= 9
