"""The autoencoder's recipe: from nothing, and further with the latents where they are."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import load_model, save_model
from models.training import vocoder as recipe
from models.training.corpus import Corpus
from models.training.job import Job
from models.training.loop import Budget
from models.training.losses import SpectralLoss
from models.training.vocoder import Anchor, Autoencoder, Batches, train_vocoder
from models.vocoder.decoder import Decoder, DecoderConfig
from models.vocoder.posterior import Posterior, PosteriorConfig
from tests.tiny import save_tiny

SILENT = torch.tensor([False, True] * 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tiny weights whose posterior leaves every second dimension unused."""
    out = save_tiny(tmp_path / "weights")
    posterior = load_model(out, "posterior", Posterior, PosteriorConfig)
    with torch.no_grad():
        both = torch.cat([SILENT, SILENT])
        posterior.project.weight[both] = 0.0
        posterior.project.bias[:8] = 0.0
        posterior.project.bias[8:] = torch.where(SILENT, 0.0, -6.0)
    save_model(out, "posterior", posterior, posterior.config, half=True)
    return out


def loaded(folder: Path) -> Autoencoder:
    return Autoencoder(
        load_model(folder, "posterior", Posterior, PosteriorConfig),
        load_model(folder, "decoder", Decoder, DecoderConfig),
    )


def test_unused_dimensions_begin_anew_and_the_others_do_not(folder: Path, corpus: Corpus) -> None:
    model, known = loaded(folder), loaded(folder).posterior
    batch = Batches(corpus, folder).draw(np.random.default_rng(0))
    anchor = Anchor(model, known, batch)
    assert torch.equal(anchor.silent, SILENT)
    features = known.features(batch.samples)
    mean, log_variance = model.posterior(features)
    before, _ = known(features)
    torch.testing.assert_close(mean[..., ~SILENT], before[..., ~SILENT])
    assert float(anchor.loss(features, mean)) == 0
    assert (mean[..., SILENT].std((0, 1)) > 0).all() and (log_variance[..., SILENT] == -4).all()
    assert float(anchor.loss(features, mean + 0.5)) == pytest.approx(0.25, rel=1e-3)


def test_some_rows_go_without_them(folder: Path, corpus: Corpus) -> None:
    torch.manual_seed(0)
    batch = Batches(corpus, folder).draw(np.random.default_rng(0))
    anchor = Anchor(loaded(folder), loaded(folder).posterior, batch)
    given = anchor.some_without(torch.ones(64, 3, 8))
    assert (given[..., ~SILENT] == 1).all()
    without = (given[..., SILENT] == 0).all(-1).all(-1)
    assert 16 < int(without.sum()) < 48
    assert (given[~without] == 1).all()


def test_going_on_writes_both_and_keeps_the_latents(
    root: Path, corpus: Corpus, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "ANCHOR_WEIGHT", 1e4)
    before = loaded(folder)
    train_vocoder(Job(root, corpus, folder, tmp_path / "work", 1, Budget(30)), further=True)
    after = loaded(folder)
    row = json.loads((tmp_path / "work" / "vocoder" / "log.jsonl").read_text().splitlines()[-1])
    assert row["step"] == 20 and np.isfinite(row["total"]) and row["anchor"] < 0.1
    batch = Batches(corpus, folder).draw(np.random.default_rng(0))
    old, new = (model.posterior.encode(batch.samples) for model in (before, after))
    assert float((old - new)[..., ~SILENT].square().mean()) < 0.05
    assert new[..., SILENT].std() > 0.01 and old[..., SILENT].std() == 0
    assert not torch.equal(before.decoder.filter_head.weight, after.decoder.filter_head.weight)


def test_a_sound_is_nearer_to_its_like_than_to_another() -> None:
    """`envelope` hears what two noises share, which single values do not."""
    generator = torch.Generator().manual_seed(0)
    a, b = 0.1 * torch.randn(2, 1, 24_000, generator=generator)
    loss = SpectralLoss()
    assert all(float(value) == 0 for value in loss(a, a).values())
    alike, other = loss(a, b), loss(a, 0.5 * b)
    assert other["envelope"] - alike["envelope"] > 2 * float(other["mel"] - alike["mel"])
