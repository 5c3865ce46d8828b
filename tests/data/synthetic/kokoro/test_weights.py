"""Weights: exports are loaded, and other files rejected."""

from pathlib import Path

import numpy as np
import pytest
import torch

from data.errors import InputError
from data.synthetic.kokoro import weights
from tests.data.synthetic.kokoro.tiny_teacher import TINY, tiny_network


def test_the_onnx_export_is_loaded(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed (launch.py data teacher)")
    from tests.data.synthetic.kokoro.exporting import export_onnx

    network = tiny_network()
    export_onnx(network, tmp_path / "model.onnx")
    state = weights.from_onnx(tmp_path / "model.onnx", TINY)
    expected = network.state_dict()
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        width = float(value.max().clamp(min=0) - value.min().clamp(max=0))
        assert torch.allclose(state[name], value, atol=0.51 * width / 255 + 1e-6), name
    weights.build(state, "cpu", TINY)


def test_the_published_checkpoint_is_loaded(tmp_path: Path) -> None:
    from tests.data.synthetic.kokoro.exporting import export_checkpoint

    network = tiny_network()
    export_checkpoint(network, tmp_path / "kokoro-v1_0.pth")
    state = weights.from_checkpoint(tmp_path / "kokoro-v1_0.pth")
    expected = network.state_dict()
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(state[name], value, atol=1e-6), name


def test_mismatched_weights_are_rejected() -> None:
    state = tiny_network().state_dict()
    less = {name: value for name, value in state.items() if "conv_post" not in name}
    with pytest.raises(InputError, match="not the weights of Kokoro"):
        weights.build(less, "cpu", TINY)
    with pytest.raises(InputError, match="not the weights of Kokoro"):
        weights.build({**state, "more": torch.zeros(1)}, "cpu", TINY)


@pytest.mark.parametrize("content", [b"", b"nothing", bytes(2000), np.arange(500.0).tobytes()])
def test_other_files_are_rejected(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("onnx", reason="onnx is not installed (launch.py data teacher)")
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError):
        weights.from_onnx(path, TINY)
    with pytest.raises(InputError, match="published checkpoint"):
        weights.from_checkpoint(path)
