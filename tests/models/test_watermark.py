"""The watermark: what is marked, and the errors where it cannot be."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data.audio import SAMPLE_RATE
from data.errors import InputError, MissingModelError
from models import watermark
from models.watermark import MESSAGE, Watermark, load_watermark


class Faint:
    """In place of AudioSeal's generator: a hundredth of the speech, signed by a bit."""

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def get_watermark(
        self, x: torch.Tensor, *, message: torch.Tensor | None = None
    ) -> torch.Tensor:
        assert message is not None and x.shape[:2] == (1, 1)
        assert int("".join(map(str, message[0].tolist())), 2) == MESSAGE
        assert x.shape[2] % 320 == 0
        self.lengths.append(x.shape[2])
        return 0.01 * x


def speech(num_samples: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, num_samples).astype(np.float32)


@pytest.mark.parametrize("num_samples", [0, 1, 320, 24_000, 45 * SAMPLE_RATE + 7])
def test_all_of_an_utterance_is_marked_and_nothing_moves(num_samples: int) -> None:
    given, generator = speech(num_samples), Faint()
    marked = Watermark(generator).mark(given)
    assert marked.dtype == np.float32
    assert np.allclose(marked, np.clip(1.01 * given, -1, 1), atol=1e-6)
    assert max(generator.lengths, default=0) <= 20 * SAMPLE_RATE  # what it holds in memory


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "audioseal.loader", None)
    with pytest.raises(MissingModelError, match="pip install audioseal"):
        load_watermark()


def test_weights_that_cannot_be_downloaded_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with pytest.raises(MissingModelError, match=r"no route to host.*example\.org/generator\.pth"):
        watermark._downloaded("https://example.org/generator.pth")


@pytest.fixture
def audioseal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package's loader, which is optional."""
    monkeypatch.setenv("NO_TORCH_COMPILE", "1")
    return pytest.importorskip("audioseal.loader", reason="audioseal is not installed")


def random_generator(audioseal: Any) -> Any:
    card = audioseal.load_local_model_config(watermark._CARD)
    card.pop("checkpoint")
    config = audioseal.AudioSeal.parse_config(dict(card), audioseal.AudioSealWMConfig)
    torch.manual_seed(0)
    return audioseal.create_generator(config).eval()


@pytest.mark.parametrize("is_old", [False, True])
def test_the_packages_generator_is_loaded_and_marks(
    audioseal: Any, is_old: bool, tmp_path: Path
) -> None:
    """Random weights of its own architecture, under the names of both its formats."""
    state = random_generator(audioseal).state_dict()
    if is_old:
        state = {name.replace(".inner_conv", ""): value for name, value in state.items()}
    torch.save({"model": state}, tmp_path / "generator.pth")
    given = 0.1 * speech(24_100)
    marked = load_watermark(tmp_path / "generator.pth").mark(given)
    expected = random_generator(audioseal).get_watermark(
        torch.from_numpy(np.pad(given, (0, 220)))[None, None],
        message=Watermark(Faint())._message,
    )
    assert np.allclose(marked - given, expected[0, 0, :24_100].detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("content", [b"", b"no weights", None])
def test_a_file_that_is_no_generator_is_an_error(
    audioseal: Any, content: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "generator.pth"
    if content is None:
        torch.save({"model": {"other.weight": torch.zeros(1)}}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="--watermark"):
        load_watermark(path)
