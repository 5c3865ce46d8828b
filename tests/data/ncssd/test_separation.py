"""Times of separated scenes are relative to the scene, exported times to the source."""

import numpy as np
import pytest

from data.audio import write_audio
from data.errors import MissingModelError
from data.ncssd import background, separation
from data.ncssd.config import BuildConfig
from data.ncssd.export import dialogue_id
from data.ncssd.stage import Context
from data.ncssd.store import Store


def test_a_separated_scene_starts_at_zero_and_keeps_its_offset(tmp_path, monkeypatch):
    monkeypatch.setattr(separation, "_voice", lambda samples, device: 0.5 * samples)
    tone = 0.4 * np.sin(2 * np.pi * 220 * np.arange(24_000 * 6) / 24_000)
    write_audio(tmp_path / "a.wav", np.where(np.arange(144_000) % 24_000 < 12_000, tone, 1e-4))
    config = BuildConfig().replace("background", separation="demucs")
    context = Context(config, Store(tmp_path))
    scene = {"sha256": "x", "audio": "a.wav", "start": 2.0, "end": 5.5}
    scene["speech"] = [[2.0, 2.5], [3.0, 3.5], [4.0, 4.5], [5.0, 5.5]]
    (row,) = background.run(dict(scene), context, "key")
    assert (row["start"], row["end"], row["offset"]) == (0.0, 3.5, 2.0)
    assert row["speech"][1] == [1.0, 1.5]
    own = context.read(row["audio"], row["start"], row["end"])
    assert own.shape == (84_000,)
    assert np.abs(own - 0.5 * context.read("a.wav", 2.0, 5.5)).max() < 0.02
    assert row["snr_db"] > 30
    assert dialogue_id(row) == dialogue_id(scene)


def test_missing_separation_models_are_named_with_their_location(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    place = str(tmp_path / "hub" / "checkpoints")
    assert place in (separation.check() or "")
    monkeypatch.setattr(separation.importlib.util, "find_spec", lambda name: object())
    assert f"{place}/955717e8-8726e21a.th is missing" in (separation.check() or "")
    separation._model.cache_clear()
    with pytest.raises(MissingModelError, match="955717e8"):
        separation._model("cpu")
    separation.model_path().parent.mkdir(parents=True)
    separation.model_path().touch()
    assert separation.check() is None
