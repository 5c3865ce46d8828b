"""Fine-tuning the style encoder: robust to microphones, with unchanged vectors."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from models.training.corpus import Corpus
from models.training.crops import random_crop, stack
from models.training.job import Job
from models.training.loop import Budget
from models.training.room_augmentation import simulate_recording
from models.training.style import finetune_style
from models.vocoder.style import StyleEncoder, load_style
from tests.models.training.recipes import STYLE


def loaded(weights: Path) -> StyleEncoder:
    return load_style(weights)


def test_simulated_recordings() -> None:
    """A tone stays a tone of similar level; some rows get noise, some are band-limited."""
    tone = 0.1 * torch.sin(2 * torch.pi * 440 * torch.arange(24_000) / 24_000).expand(64, -1)
    heard = simulate_recording(tone, np.random.default_rng(0))
    assert heard.shape == tone.shape and heard.isfinite().all()
    power = torch.fft.rfft(heard).abs().square()
    at_tone = power[:, 438:443].sum(1)
    assert (at_tone / power.sum(1) > 0.7).all()
    untouched = (heard == tone).all(1)
    assert 2 <= int(untouched.sum()) <= 16
    above = power[:, 11_500:].mean(1)
    assert (above < 1e-6).any() and (above > 1e-3).any()
    again = simulate_recording(tone, np.random.default_rng(0))
    assert torch.equal(heard, again)


def test_it_learns_to_ignore_noise(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    before = loaded(weights)
    finetune_style(Job(root, corpus, weights, tmp_path, 0, Budget(60)), STYLE)
    after = loaded(weights)
    generator = np.random.default_rng(5)
    crops = [random_crop(generator, u, 25) for u in corpus.utterances for _ in range(8)]
    alone = stack(crops)
    heard = simulate_recording(alone, generator)
    told = before.encode(alone)

    def nearness(encoder: StyleEncoder, samples: torch.Tensor) -> float:
        return float(F.cosine_similarity(encoder.encode(samples), told, dim=-1).mean())

    assert 1 - nearness(after, heard) < 0.5 * (1 - nearness(before, heard))
    assert nearness(after, alone) > 0.9
