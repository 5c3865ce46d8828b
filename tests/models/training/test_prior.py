"""The prior's recipe, on codes sampled by a predictor."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.predictors.frames import SemanticCodes
from models.predictors.gpt_talker import GPTTalker
from models.training import prior as recipe
from models.training.corpus import Corpus
from models.training.encoded import Encoded, encode_corpus
from models.training.job import Job
from models.training.loop import Budget
from models.training.predictor_samples import draw_codes
from models.training.prior import train_prior
from models.vocoder.prior import Prior
from tests.models.training.recipes import PRIOR
from tests.tiny import tiny


@pytest.fixture
def talker() -> GPTTalker:
    talker = tiny("gpt-talker")
    assert isinstance(talker, GPTTalker)
    return talker


def semantic_of(encoded: list[Encoded]) -> Callable[[int], SemanticCodes]:
    return lambda index: encoded[index].semantic


def test_every_frame_has_a_sampled_code(
    root: Path, corpus: Corpus, weights: Path, talker: GPTTalker
) -> None:
    encoded = encode_corpus(root, corpus, weights)
    drawn = draw_codes(root, corpus, encoded, weights, talker, semantic_of(encoded), seed=1)
    assert [len(codes) for codes in drawn] == [len(one.codes) for one in encoded]
    assert all(codes.min() >= 0 and codes.max() < talker.num_codes for codes in drawn)
    again = draw_codes(root, corpus, encoded, weights, talker, semantic_of(encoded), seed=1)
    other = draw_codes(root, corpus, encoded, weights, talker, semantic_of(encoded), seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(drawn, other, strict=True))


def test_samples_of_a_deterministic_predictor(
    root: Path, corpus: Corpus, weights: Path, talker: GPTTalker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames are aligned: a head that repeats the previous code gives the codes shifted by one."""
    encoded = encode_corpus(root, corpus, weights)
    read = talker.read

    def before_as_hidden(rows):  # type: ignore[no-untyped-def]
        found = read(rows)
        certain = torch.nn.functional.one_hot(found.positions.value, talker.num_codes + 64)
        certain = 1e4 * certain[..., : talker.num_codes].float()
        return dataclasses.replace(found, embedded=certain)

    monkeypatch.setattr(talker, "read", before_as_hidden)
    monkeypatch.setattr(talker, "forward", lambda embedded: embedded)
    monkeypatch.setattr(talker, "code_head", torch.nn.Identity())
    drawn = draw_codes(root, corpus, encoded, weights, talker, semantic_of(encoded), seed=3)
    for one, codes in zip(encoded, drawn, strict=True):
        after = codes[1:] == one.codes[:-1]
        assert after.mean() > 0.9  # except at sentence starts


def test_further_starts_from_the_existing_weights(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    before = load_file(weights / "prior.safetensors")
    train_prior(Job(root, corpus, weights, tmp_path, 1, Budget(1)), PRIOR, further=True)
    after = load_file(weights / "prior.safetensors")
    for key, value in before.items():
        scale = after.get(f"{key}.int8_scale", torch.ones(1)).float()
        stored = after[key].float() * scale.view(-1, *[1] * (value.dim() - 1))
        # one warm-up step, plus int8 rounding
        assert (stored - value.float()).abs().max() < 0.01 + 0.01 * value.float().abs().max()


def test_half_of_the_codes_are_the_predictors(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = encode_corpus(root, corpus, weights)
    strange = [np.full_like(one.codes, 1) for one in encoded]
    monkeypatch.setattr(recipe, "draw_codes", lambda *_: strange)
    read: list[torch.Tensor] = []
    log_prob = Prior.log_prob

    def noted(prior: Prior, latents: torch.Tensor, codes: torch.Tensor, *rest: torch.Tensor):
        read.append(codes)
        return log_prob(prior, latents, codes, *rest)

    monkeypatch.setattr(Prior, "log_prob", noted)
    train_prior(Job(root, corpus, weights, tmp_path, 1, Budget(6)), PRIOR, further=True)
    ones = [bool((row[:20] == 1).all()) for codes in read for row in codes]
    assert 0.3 < np.mean(ones) < 0.7
    read.clear()
    (weights / "gpt-talker.safetensors").rename(weights / "aside")
    try:
        train_prior(Job(root, corpus, weights, tmp_path, 1, Budget(1)), PRIOR, further=True)
    finally:
        (weights / "aside").rename(weights / "gpt-talker.safetensors")
    assert not any(bool((row[:20] == 1).all()) for row in read[0])
