"""The tokenizer's recipe with frozen codes."""

import dataclasses
from pathlib import Path

import pytest
import torch

from data.errors import InputError
from models.checkpoint import save_model
from models.predictors.alignment import align_units
from models.predictors.units import units_of_text
from models.text import SYMBOLS
from models.tokenizers.semantic import SemanticTokenizer, load_tokenizer
from models.training.corpus import Corpus
from models.training.job import Job
from models.training.loop import Budget
from models.training.tokenizer import TokenizerRecipe, train_tokenizer, with_new_phones
from tests.tiny import CONFIGS

NUM_KNOWN = 60  # English alone
RECIPE = TokenizerRecipe(batch=4, crop_frames=30)


def english() -> SemanticTokenizer:
    torch.manual_seed(5)
    config = dataclasses.replace(CONFIGS["semantic"], symbols=SYMBOLS[:NUM_KNOWN])
    return SemanticTokenizer(config).eval().requires_grad_(False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = english()
    save_model(tmp_path, "semantic", model, model.config, half=True, int8=True)
    return tmp_path


def test_new_phones_leave_known_outputs_unchanged() -> None:
    old = english()
    new = with_new_phones(old).eval()
    values = old.quantiser.decode(torch.arange(16)[None])
    phones, ctc, prosody = old.read(values)
    more_phones, more_ctc, same_prosody = new.read(values)
    torch.testing.assert_close(more_phones[..., :NUM_KNOWN], phones)
    torch.testing.assert_close(more_ctc[..., :NUM_KNOWN], ctc[..., :NUM_KNOWN])
    torch.testing.assert_close(more_ctc[..., -1], ctc[..., -1])  # the blank is last
    torch.testing.assert_close(same_prosody.log_f0, prosody.log_f0)
    assert more_phones.shape[-1] == len(SYMBOLS)


def test_frozen_codes_allow_alignment_of_new_languages(
    root: Path, corpus: Corpus, folder: Path, tmp_path: Path
) -> None:
    before = load_tokenizer(folder)
    sound = 0.1 * torch.randn(1, 48_000, generator=torch.Generator().manual_seed(1))
    units = units_of_text("你好", "zh")
    codes = before.encode(sound)
    with pytest.raises(InputError, match="has not learnt"):
        align_units(before.inspect(codes)[0][0], units)
    made = train_tokenizer(
        Job(root, corpus, folder, tmp_path / "work", 1, Budget(3)), RECIPE, hold=True
    )
    after = load_tokenizer(folder)
    assert after.config == made.model and len(made.model.symbols) == len(SYMBOLS)
    assert torch.equal(after.encode(sound), codes)
    told, still = before.inspect(codes)[1], after.inspect(codes)[1]
    torch.testing.assert_close(still.log_f0, told.log_f0, atol=0.05, rtol=0.05)  # int8
    path = align_units(after.inspect(codes)[0][0], units)
    assert path[0] == 0 and (path.diff() >= 0).all()


def test_hold_refuses_other_sizes(root: Path, corpus: Corpus, folder: Path) -> None:
    other = dataclasses.replace(RECIPE, model=dataclasses.replace(RECIPE.model, dim=32))
    with pytest.raises(InputError, match=r"model\.dim is 32"):
        train_tokenizer(Job(root, corpus, folder, folder / "work", 1, Budget(1)), other, hold=True)
