"""Level, offset and wiring of a recording do not change the resulting conversation."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data.audio import SAMPLE_RATE
from data.ncssd.engine import Serial
from data.ncssd.pipeline import Built, build
from data.ncssd.sources import read_sources
from tests.data.ncssd import made
from tests.data.ncssd.conftest import QUICK

SOUND = made.conversation(6).astype(np.float64)
SOUND *= 0.6 / np.abs(SOUND).max()
TIME = np.arange(len(SOUND)) / SAMPLE_RATE


def built(path: Path, samples: np.ndarray, kind: str = "PCM_24") -> Built:
    path.mkdir()
    soundfile.write(path / "a.wav", samples, SAMPLE_RATE, subtype=kind)
    return build(read_sources([path / "a.wav"], {}, False), path / "out", QUICK, Serial())


def peak(db: float) -> np.ndarray:
    return SOUND * 10 ** (db / 20) / 0.6


def sine(hz: float, size: float) -> np.ndarray:
    return size * np.sin(2 * np.pi * hz * TIME)


def pair(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


MADE: dict[str, Callable[[], np.ndarray]] = {
    "peak -35": lambda: peak(-35),
    "peak -55": lambda: peak(-55),
    "peak -70": lambda: peak(-70),
    "peak 2.4": lambda: peak(7.6),
    "peak 30": lambda: peak(29.5),
    "offset 0.3": lambda: SOUND + 0.3,
    "offset -0.1": lambda: SOUND - 0.1,
    "offset of a quiet file": lambda: peak(-50) + 0.05,
    "rumble 30 Hz": lambda: SOUND + sine(30, 0.15),
    "rumble 47 Hz": lambda: SOUND + sine(47, 0.15),
    "inverted": lambda: pair(SOUND, -SOUND),
    "inverted in part": lambda: pair(SOUND, np.where(TIME < 12, 0.9, -0.9) * SOUND),
    "inverted, with an offset": lambda: pair(0.7 * SOUND, 0.2 - SOUND),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return built(tmp_path_factory.mktemp("plain") / "a", SOUND)


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_the_same_turns_result_at_full_resolution(
    make: Callable[[], np.ndarray], plain: Built, tmp_path: Path
) -> None:
    samples = make()
    kind = "PCM_24" if np.abs(samples).max() <= 1 else "FLOAT"
    (dialogue,) = built(tmp_path / "a", samples, kind).accepted
    (expected,) = plain.accepted
    for turn, as_plain in zip(dialogue["turns"], expected["turns"], strict=True):
        for edge in ("start", "end"):
            assert turn[edge] == pytest.approx(as_plain[edge], abs=0.1)
        assert turn["speaker"] == as_plain["speaker"]
    assert dialogue["snr_db"] > 30
    wavs = sorted((tmp_path / "a" / "out" / "ncssd").rglob("*.wav"))
    sounds = [soundfile.read(path)[0] for path in wavs]
    assert len(sounds) == 6
    assert all(0.1 < np.abs(one).max() <= 1.0 for one in sounds)
    assert all(abs(one.mean()) < 0.01 for one in sounds)
    assert all(len(np.unique(one)) > 2_000 for one in sounds), "no bit is lost"


def test_corrections_are_recorded_and_ordinary_recordings_need_none(
    plain: Built, tmp_path: Path
) -> None:
    done = {"channel_used", "highpass", "gain_db"}
    assert not done & set(plain.accepted[0])
    both = built(tmp_path / "a", pair(0.002 * SOUND, -0.002 * SOUND) + 0.01)
    row = json.loads((tmp_path / "a" / "out" / "dialogues.jsonl").read_text())
    assert row == both.accepted[0] and done <= set(row)
    assert (row["channel_used"], row["highpass"]) == (0, True)
    assert 20 < row["gain_db"] < 60
