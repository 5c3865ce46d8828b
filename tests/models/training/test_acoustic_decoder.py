"""The recipe of HAM-TTS's second model: its inputs and targets."""

from pathlib import Path

import torch
from safetensors.torch import load_file

from models.tokenizers.acoustic import load_acoustic
from models.training.acoustic_decoder import (
    _near,
    _training_input,
    train_acoustic_decoder,
)
from models.training.corpus import Corpus
from models.training.job import Job
from models.training.loop import Budget
from models.vocoder.acoustic_decoder import _logits
from tests.models.training.recipes import ACOUSTIC_DECODER


def test_levels_correct_wrong_first_codes(weights: Path) -> None:
    acoustic = load_acoustic(weights)
    torch.manual_seed(0)
    scaled = torch.randn(4, 6, acoustic.config.latent_dim)
    sampled = torch.full((4, 6), 3)
    sampled[:, 4:] = -1  # beyond the end
    first, totals, targets = _training_input(acoustic, _near(acoustic, 16), scaled, sampled, 0.15)
    assert (first[0::2, :4] == 3).all()  # every other row is corrupted
    assert torch.equal(first[1::2], acoustic.encode(scaled * acoustic.scale, 1)[1::2, :, 0])
    assert torch.equal(totals[0], acoustic.codebooks[0][first])
    left = scaled - totals[0]
    nearest = torch.cdist(left, acoustic.codebooks[1][None].expand(4, -1, -1)).argmin(-1)
    assert torch.equal(targets[0], nearest)


def test_dimensions_are_weighted_by_precision() -> None:
    rest, book = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    first_known = _logits(rest, torch.tensor([[0.1, 4.0]]), book)
    second_known = _logits(rest, torch.tensor([[4.0, 0.1]]), book)
    assert first_known.argmax() == 0 and second_known.argmax() == 1
    expected = -0.5 * (((rest - book) / torch.tensor([4.0, 0.1])) ** 2).sum(-1)
    torch.testing.assert_close(second_known.log_softmax(-1)[0], expected.log_softmax(-1))


def test_further_starts_from_the_existing_weights(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    before = load_file(weights / "acoustic-decoder.safetensors")["first.weight"].float()
    job = Job(root, corpus, weights, tmp_path, 1, Budget(1))
    train_acoustic_decoder(job, ACOUSTIC_DECODER, further=True)
    after = load_file(weights / "acoustic-decoder.safetensors")
    moved = after["first.weight"].float() * after["first.weight.int8_scale"].float()[:, None]
    assert 0 < (moved - before).abs().max() < 0.1
