"""Conversion between 16-bit and float samples, without loss."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.audio.pcm import from_bytes, to_bytes, to_float, to_int16
from data.errors import InputError
from models.mel import in_16_bits


def test_every_16_bit_sample_survives_a_round_trip() -> None:
    pcm = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_int16(to_float(pcm)), pcm)
    content = pcm.astype("<i2").tobytes()
    assert to_bytes(from_bytes(content)) == content


@given(st.lists(st.floats(-4, 4, width=32), max_size=50))
def test_rounding_is_to_the_nearest_and_clips(samples: list[float]) -> None:
    given_ = np.array(samples, np.float32)
    back = to_float(to_int16(given_))
    assert np.abs(back - given_.clip(-32768 / 32767, 1)).max(initial=0) <= 0.5001 / 32767


def test_models_hear_what_is_stored() -> None:
    samples = np.random.default_rng(0).uniform(-1.1, 1.1, 10_000).astype(np.float32)
    heard = in_16_bits(torch.from_numpy(samples)).numpy()
    assert np.abs(heard - to_float(to_int16(samples))).max() < 1e-7


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_samples_are_rejected(bad: float) -> None:
    with pytest.raises(InputError, match="not all numbers"):
        to_bytes(np.array([0.0, bad], np.float32))
