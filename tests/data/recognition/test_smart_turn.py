"""Smart Turn's weights are searched in order, verified, and never silently replaced."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from data.errors import InputError, MissingModelError
from data.recognition import smart_turn_weights
from data.recognition.smart_turn import TURN_HZ, SmartTurn
from data.recognition.smart_turn_weights import fetch_smart_turn, find_smart_turn

WEIGHTS = b"the weights"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache; a hub that has nothing; a wheel with `WEIGHTS`."""
    monkeypatch.setenv("REPARTEE_CACHE", str(tmp_path))
    monkeypatch.setattr(smart_turn_weights, "SHA256", hashlib.sha256(WEIGHTS).hexdigest())
    monkeypatch.setattr(smart_turn_weights, "_from_hub", lambda local: None)
    monkeypatch.setattr(smart_turn_weights, "_from_wheel", lambda: WEIGHTS)
    return tmp_path


def test_nothing_is_downloaded_unasked(cache: Path) -> None:
    with pytest.raises(MissingModelError, match="install them with"):
        find_smart_turn()
    assert not list(cache.iterdir())


def test_downloaded_weights_are_found(cache: Path) -> None:
    path = fetch_smart_turn()
    assert path.read_bytes() == WEIGHTS
    assert find_smart_turn() == path


def test_damaged_weights_are_rejected(cache: Path) -> None:
    fetch_smart_turn().write_bytes(b"others")
    with pytest.raises(MissingModelError, match="damaged"):
        find_smart_turn()


def test_a_failure_of_every_source_is_one_line(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline() -> bytes:
        raise MissingModelError("pip could not fetch it")

    monkeypatch.setattr(smart_turn_weights, "_from_wheel", offline)
    with pytest.raises(MissingModelError, match="pip could not fetch it"):
        fetch_smart_turn()


def test_a_given_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        find_smart_turn(tmp_path / "model.onnx")


def test_the_network_accepts_audio_of_any_length() -> None:
    try:
        path = find_smart_turn()
    except MissingModelError as error:
        pytest.skip(str(error))
    judge = SmartTurn(path)
    rng = np.random.default_rng(0)
    for seconds in (0, 0.1, 3, 8, 11):
        sound = 0.1 * rng.standard_normal(int(seconds * TURN_HZ)).astype(np.float32)
        assert 0.0 <= judge.finished(sound) <= 1.0
    long = 0.1 * rng.standard_normal(20 * TURN_HZ).astype(np.float32)
    assert judge.finished(long) == judge.finished(long[-8 * TURN_HZ :])
