"""Refined units from the tokenizer's features and from a small random HuBERT."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from data.errors import InputError, MissingModelError
from models.mel import FRAME_SAMPLES
from models.tokenizers.hubert import Hubert, _normalised
from models.training import refined_units as module
from models.training.corpus import Corpus
from models.training.refined_units import refined_units


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.HubertConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    transformers.HubertModel(config).save_pretrained(tmp_path)
    return tmp_path


def test_units_are_few_for_each_frame_and_kept(
    root: Path, corpus: Corpus, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = refined_units(root, corpus, weights, 1, 8)
    assert [len(one) for one in units] == [one.num_frames for one in corpus.utterances]
    assert len(set(np.concatenate(units).tolist())) in range(2, 9)
    monkeypatch.setattr(module, "_fitted", None)
    monkeypatch.setattr(module, "_features", None)
    again = refined_units(root, corpus, weights, 1, 8)
    assert all(np.array_equal(a, b) for a, b in zip(units, again, strict=True))


def test_hubert_replaces_the_tokenizer(
    root: Path, corpus: Corpus, weights: Path, folder: Path
) -> None:
    units = refined_units(root, corpus, weights, 1, 8, folder)
    assert [len(one) for one in units] == [one.num_frames for one in corpus.utterances]
    own = refined_units(root, corpus, weights, 1, 8)
    assert not all(np.array_equal(a, b) for a, b in zip(units, own, strict=True))


def test_hubert_frames_are_aligned_with_ours(folder: Path) -> None:
    hubert = Hubert(folder)
    samples = torch.zeros(2, 20 * FRAME_SAMPLES)
    samples[1, 10 * FRAME_SAMPLES :] = torch.randn(10 * FRAME_SAMPLES)
    lengths = torch.tensor([20 * FRAME_SAMPLES] * 2)
    features = hubert(samples, lengths)
    assert features.shape == (2, 20, 32)
    before = hubert.model.feature_extractor(torch.randn(1, 16_000 + 80))
    assert before.shape[-1] == 50


def test_padding_does_not_affect_normalisation() -> None:
    sound = 3.0 + 5.0 * torch.randn(2, 1000)
    lengths = torch.tensor([1000, 600])
    made = _normalised(sound, lengths)
    torch.testing.assert_close(made[1, :600], _normalised(sound[1:, :600], lengths[1:])[0])
    assert not made[1, 600:].any()
    assert abs(float(made[0].mean())) < 1e-4 and abs(float(made[0].std()) - 1) < 1e-2


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no config"):
        Hubert(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no HuBERT"):
        Hubert(tmp_path)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingModelError, match="pip install"):
        Hubert(tmp_path)
