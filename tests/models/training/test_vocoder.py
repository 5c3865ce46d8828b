"""The autoencoder's recipe: from scratch, and fine-tuning."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data.errors import InputError, MissingModelError
from models.checkpoint import load_model
from models.training import vocoder as recipe
from models.training.adversarial import AdversarialRecipe, Discriminators
from models.training.corpus import Corpus
from models.training.job import Job
from models.training.loop import CHECKPOINT, Budget
from models.training.losses import SpectralLoss
from models.training.vocoder import Autoencoder, Batches, KLRecipe, VocoderRecipe, train_vocoder
from models.vocoder.decoder import Decoder, DecoderConfig
from models.vocoder.posterior import Posterior, PosteriorConfig
from tests.models.training.recipes import VOCODER
from tests.tiny import STYLE, save_tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "weights")


def loaded(folder: Path) -> Autoencoder:
    return Autoencoder(
        load_model(folder, "posterior", Posterior, PosteriorConfig),
        load_model(folder, "decoder", Decoder, DecoderConfig),
    )


def test_further_starts_from_the_existing_weights(
    root: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    before = loaded(folder)
    train_vocoder(
        Job(root, corpus, folder, tmp_path / "work", 1, Budget(50)), VOCODER, further=True
    )
    after = loaded(folder)
    for name in ("vocoder", "vocoder-held"):  # 30 and 20 steps, a row after every 20
        row = json.loads((tmp_path / "work" / name / "log.jsonl").read_text().splitlines()[-1])
        assert row["step"] == 20 and np.isfinite(row["total"])
    for old, new in zip(before.parameters(), after.parameters(), strict=True):
        assert (new - old).norm() < 0.5 * old.norm() + 1.0
    # weights trained from scratch would be unrelated
    first, last = (torch.cat([p.flatten() for p in m.parameters()]) for m in (before, after))
    assert torch.cosine_similarity(first, last, dim=0) > 0.9
    assert not torch.equal(before.decoder.filter_head.weight, after.decoder.filter_head.weight)


def test_shorter_filters_begin_as_those_they_replace(folder: Path) -> None:
    short = loaded(folder).decoder
    long = recipe._refiltered(short, DecoderConfig(window=960, filters=1)).eval()
    again = recipe._refiltered(long, short.config).eval()
    assert (long.config.window, again.config) == (960, short.config)
    torch.manual_seed(6)
    latents, style = torch.randn(1, 30, 8), torch.randn(1, STYLE)
    f0 = torch.full((1, 120), 130.0)
    wanted, made = (
        decode(latents, style, f0=f0)[0][:, decode.delay_samples :] for decode in (long, again)
    )
    inner = slice(960, wanted.shape[1] - 960)
    likeness = torch.cosine_similarity(wanted[0, inner], made[0, : wanted.shape[1]][inner], dim=0)
    assert likeness > 0.9


def test_widened_latents_start_equivalent(
    root: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    before = loaded(folder)
    old = before.decoder.config.latent_dim
    batch = Batches(corpus, folder, VOCODER).draw(np.random.default_rng(0))
    wider = recipe._widened(before, old + 3).eval()
    mean, log_variance = wider.posterior(wider.posterior.features(batch.samples))
    was, log_variance_was = before.posterior(before.posterior.features(batch.samples))
    assert mean.shape[-1] == old + 3
    torch.testing.assert_close(mean[..., :old], was)
    torch.testing.assert_close(log_variance[..., :old], log_variance_was)
    assert mean[..., old:].std(dim=(0, 1)).min() > 0
    # A constant F0 for both: rounding differences would accumulate in the phase.
    made, wanted = (
        wider.decoder(mean, batch.style, f0=batch.filled),
        before.decoder(was, batch.style, f0=batch.filled),
    )
    torch.testing.assert_close(made[0], wanted[0])
    torch.testing.assert_close(made[1].log_f0, wanted[1].log_f0)
    job = Job(root, corpus, folder, tmp_path / "work", 1, Budget(2))
    train_vocoder(job, VOCODER, further=True, latent_dim=old + 3)
    assert loaded(folder).posterior.config.latent_dim == old + 3
    with pytest.raises(InputError, match=f"less than the present {old + 3}"):
        train_vocoder(job, VOCODER, further=True, latent_dim=old)


def test_hold_trains_the_decoder_alone(
    root: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    files = [folder / f"{name}.safetensors" for name in ("posterior", "decoder")]
    before = [path.read_bytes() for path in files]
    train_vocoder(Job(root, corpus, folder, tmp_path / "work", 1, Budget(3)), VOCODER, hold=True)
    after = [path.read_bytes() for path in files]
    assert after[0] == before[0] and after[1] != before[1]


def test_adversarial_trains_the_decoder_alone(
    root: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    files = [folder / f"{name}.safetensors" for name in ("posterior", "decoder")]
    before = [path.read_bytes() for path in files]
    job = Job(root, corpus, folder, tmp_path / "work", 1, Budget(20))
    few = AdversarialRecipe(
        frames=6, periods=(3,), windows=(256,), period_channels=4, spectrum_channels=4
    )
    train_vocoder(job, replace(VOCODER, adversarial=few), adversarial=True)
    after = [path.read_bytes() for path in files]
    assert after[0] == before[0] and after[1] != before[1]
    log = (tmp_path / "work" / "vocoder-adversarial" / "log.jsonl").read_text()
    assert np.isfinite(json.loads(log.splitlines()[-1])["adversarial"])


def test_discriminators_learn() -> None:
    torch.manual_seed(0)
    judges = Discriminators(AdversarialRecipe(periods=(3,), windows=(256,)))
    optimizer = torch.optim.AdamW(judges.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        wanted = 0.05 * torch.randn(4, 3840)
        made = 0.05 * torch.nn.functional.avg_pool1d(torch.randn(4, 3842), 3, 1) * 3**0.5
        losses.append(judges.losses(made, wanted)["discriminators"])
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert float(losses[0].detach()) == pytest.approx(0.5)  # indistinguishable
    assert float(losses[-1].detach()) < 0.35


def test_adversarial_gradients_are_separate() -> None:
    judges = Discriminators(AdversarialRecipe(frames=8))
    for parameter in judges.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # some start at zero
    made = (0.1 * torch.randn(2, 7680)).requires_grad_(True)
    losses = judges.losses(made, 0.1 * torch.randn(2, 7680))
    for name in ("adversarial", "features"):
        (gradient,) = torch.autograd.grad(losses[name], made, retain_graph=True)
        assert gradient.abs().sum() > 0
        own = torch.autograd.grad(
            losses[name], list(judges.parameters()), retain_graph=True, allow_unused=True
        )
        assert all(each is None for each in own)
    assert torch.autograd.grad(losses["discriminators"], made, allow_unused=True)[0] is None


def test_kl_weight_rises() -> None:
    kl = KLRecipe()
    costs = [kl.at(progress) for progress in (0.0, 0.5, 0.7, 0.9, 1.0)]
    assert costs[0] == costs[1] == pytest.approx(kl.first)
    assert costs[1] < costs[2] < costs[3]
    assert costs[3] == costs[4] == pytest.approx(kl.last)


def test_training_from_scratch_needs_neither(
    root: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    sizes = PosteriorConfig(dim=16, depth=1, latent_dim=8)
    tiny = VocoderRecipe(posterior=sizes, decoder=loaded(folder).decoder.config)
    for name in ("posterior", "decoder"):
        (folder / f"{name}.safetensors").unlink()
    train_vocoder(Job(root, corpus, folder, tmp_path / "work", 1, Budget(1)), tiny)
    assert loaded(folder).posterior.config == sizes
    (folder / "posterior.safetensors").unlink()
    with pytest.raises(MissingModelError, match="posterior"):
        train_vocoder(
            Job(root, corpus, folder, tmp_path / "work", 1, Budget(1)),
            VOCODER,
            further=True,
        )


def test_spectral_losses_rank_similarity() -> None:
    """`envelope` and `cepstrum` detect what two noises share, unlike single spectrogram values."""
    generator = torch.Generator().manual_seed(0)
    a, b = 0.1 * torch.randn(2, 1, 24_000, generator=generator)
    loss = SpectralLoss()
    assert all(float(value) == 0 for value in loss(a, a).values())
    alike, other = loss(a, b), loss(a, 0.5 * b)
    assert other["envelope"] - alike["envelope"] > 2 * float(other["mel"] - alike["mel"])
    assert other["cepstrum"] - alike["cepstrum"] > 2 * float(other["mel"] - alike["mel"])


def test_a_restarted_run_clears_both_parts_of_an_earlier_one(
    root: Path, corpus: Corpus, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in its first part and resumed, it would otherwise load the old second part."""
    held = tmp_path / "work" / "vocoder-held" / CHECKPOINT
    held.parent.mkdir(parents=True)
    held.write_bytes(b"of an earlier run")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "_train_both", stop)
    with pytest.raises(KeyboardInterrupt):
        train_vocoder(
            Job(root, corpus, folder, tmp_path / "work", 1, Budget(50)),
            VOCODER,
            further=True,
        )
    assert not held.exists()
