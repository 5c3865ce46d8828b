"""Weights survive saving and loading."""

from pathlib import Path

import pytest
import torch

from data.errors import InputError, MissingModelError
from models.checkpoint import load_config, load_weights, save_model
from models.predictors.flow_omni import FlowOmniConfig
from tests.tiny import CONFIGS, tiny

NAME = "flow-omni"


def saved(folder: Path, **how: bool) -> torch.nn.Module:
    save_model(folder, NAME, tiny(NAME), CONFIGS[NAME], **how)
    return load_weights(folder, NAME, _other())


def _other() -> torch.nn.Module:
    other = tiny(NAME)
    for parameter in other.parameters():
        parameter.data.zero_()
    return other


def test_configuration_and_weights_round_trip(tmp_path: Path) -> None:
    again = saved(tmp_path, half=False)
    assert load_config(tmp_path, NAME, FlowOmniConfig) == CONFIGS[NAME]
    for key, value in tiny(NAME).state_dict().items():
        torch.testing.assert_close(again.state_dict()[key], value, atol=0, rtol=0)


def test_int8_rounding_error_is_within_half_a_step(tmp_path: Path) -> None:
    again = saved(tmp_path, half=True, int8=True).state_dict()
    for key, value in tiny(NAME).state_dict().items():
        if value.dim() > 1:
            largest = value.flatten(1).abs().amax(1)
            error = (again[key] - value).flatten(1).abs().amax(1)
            assert (error <= 0.51 * largest / 127 + 1e-3 * largest).all(), key
        else:
            torch.testing.assert_close(again[key], value, atol=1e-3, rtol=1e-3)


def test_int8_is_smaller(tmp_path: Path) -> None:
    sizes = {}
    for int8 in (False, True):
        save_model(tmp_path, NAME, tiny(NAME), CONFIGS[NAME], half=True, int8=int8)
        sizes[int8] = (tmp_path / f"{NAME}.safetensors").stat().st_size
    assert sizes[True] < 0.8 * sizes[False]


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"flow-omni\.safetensors.*train flow-omni"):
        load_config(tmp_path, NAME, FlowOmniConfig)


def test_a_configuration_of_another_version_is_an_error(tmp_path: Path) -> None:
    saved(tmp_path, half=True)
    path = tmp_path / f"{NAME}.json"
    for text in (path.read_text().replace('"dim"', '"unheard_of"', 1), "{"):
        path.write_text(text)
        with pytest.raises(InputError, match=r"flow-omni\.json cannot be used"):
            load_config(tmp_path, NAME, FlowOmniConfig)
