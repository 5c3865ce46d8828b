"""The thinker's recipe on a handful of dialogues, synthetic ones and others."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data.audio import SAMPLE_RATE
from data.dialogue import Dialogue, Turn, write_ncssd_dialogue
from data.errors import InputError
from models.omni import load_thinker
from models.predictors.thinker import AGENT, USER
from models.training import exchanges
from models.training.corpus import Corpus, prepare
from models.training.encoded import load_tokenizer
from models.training.exchanges import Exchanges, dialogue_texts
from models.training.heard import encode_heard
from models.training.loop import Budget
from models.training.spelling import settle, spell
from models.training.thinker import train_thinker
from tests.tiny import save_tiny, tiny_thinker

TEXTS = ("Who baked the onion?", "The baker did.", "Did you taste the pudding in the canteen?")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dialogues of noise: one says that it is synthetic, and when its phones are spoken."""
    where = tmp_path_factory.mktemp("dialogues")
    generator = np.random.default_rng(0)
    for number, extra in enumerate(({"topic": "cooking"}, {})):
        turns = []
        for index, text in enumerate(TEXTS):
            seconds = 1.0 + 0.3 * index
            sound = 0.1 * generator.standard_normal(round(seconds * SAMPLE_RATE))
            # as many phones as there may be: where they lie does not matter here
            phones = [["ah", i * seconds / 12, (i + 1) * seconds / 12] for i in range(12)]
            more = {"voice": f"v{index % 2}", **({"phones": phones} if extra else {})}
            turns.append(Turn(index % 2, text, samples=sound.astype(np.float32), extra=more))
        write_ncssd_dialogue(where, Dialogue(str(number), turns, extra))
    return where


@pytest.fixture(scope="module")
def corpus(root: Path) -> Corpus:
    return Corpus(prepare(root, workers=1))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("weights"))


@pytest.fixture(autouse=True)
def without_synthesizers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "_about_itself", lambda seed: [])
    monkeypatch.setattr(exchanges, "NUM_NOISES", 4)


def test_rows_are_what_was_heard_and_what_there_is_to_answer(
    root: Path, corpus: Corpus, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchanges, "NOTHING_HEARD", 0.3)
    model = tiny_thinker()
    made = Exchanges(
        root, corpus, encode_heard(root, corpus, weights), load_tokenizer(weights), model, 0
    )
    rows = [row for seed in range(6) for row in made.draw(np.random.default_rng(seed))]
    assert all([turn.who for turn in row] == [USER, AGENT] * (len(row) // 2) for row in rows)
    answers = {model.backbone.decode(row[-1].tokens).lower() for row in rows}
    assert any("onion" in answer for answer in answers)  # by the rule
    assert "the baker did." in answers  # as the other dialogue went
    assert any("did not catch" in answer for answer in answers)
    heard = [t.heard for row in rows for t in row if t.heard is not None]
    assert model.backbone.word("baker") in torch.cat(heard)
    lengths = {len(turn.sound) for row in rows for turn in row if turn.sound is not None}
    assert len(lengths) > 2 and any(turn.sound is None for row in rows for turn in row[::2])
    again = made.draw(np.random.default_rng(3))
    first = made.draw(np.random.default_rng(3))
    assert [[t.tokens for t in row] for row in again] == [[t.tokens for t in row] for row in first]


def test_the_recipe_writes_what_can_be_loaded(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    train_thinker(root, corpus, weights, tmp_path, 0, Budget(2), resume=False)
    thinker = load_thinker(weights)
    assert "onion" in thinker.config.words and thinker.config.feature_dim == 16
    stored = json.loads((weights / "omni-thinker.json").read_text())
    assert stored["backbone"] == "" and len(stored["words"]) == len(set(stored["words"]))
    train_thinker(root, corpus, weights, tmp_path, 0, Budget(3), resume=True)
    steps = (tmp_path / "omni-thinker" / "checkpoint.safetensors").exists()
    assert steps


def test_stage_one_needs_a_language_model(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--backbone"):
        train_thinker(root, corpus, weights, tmp_path, 0, Budget(1), resume=False, stage=1)


def test_texts_of_a_vocabulary_are_what_is_said_and_answered(root: Path, corpus: Corpus) -> None:
    texts = list(dialogue_texts(root, corpus, 0))
    assert set(TEXTS) <= set(texts)
    assert len(texts) > 2 * len(TEXTS) + 3


def test_spelled_words_are_plain_ones_afterwards() -> None:
    """A word learns from those that share letters, and keeps what it learnt."""
    embedding = torch.nn.Embedding(4, 8)
    spell(embedding, ("bake", "baker", "bakes", "oven"))
    embedding(torch.tensor([0])).sum().backward()
    grams = embedding.parametrizations.weight[0].table.weight
    assert grams.grad.abs().sum() > 0
    with torch.no_grad():
        grams -= grams.grad
    taught = embedding.weight.detach().clone()
    original = embedding.parametrizations.weight.original
    assert not torch.allclose(taught[1], original[1]) and torch.allclose(taught[3], original[3])
    settle(embedding)
    assert isinstance(embedding.weight, torch.nn.Parameter)
    torch.testing.assert_close(embedding.weight.detach(), taught)
