"""The thinker's recipe on a few dialogues, synthetic and real."""

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from data.errors import InputError
from models.mel import FRAME_SAMPLES
from models.omni import load_thinker
from models.predictors.thinker import AGENT, USER, build_thinker
from models.text.words import vocabulary
from models.tokenizers.semantic import load_tokenizer
from models.training import thinker_data
from models.training.corpus import Corpus
from models.training.job import Job
from models.training.loop import Budget
from models.training.ngram_embedding import add_ngrams, fold_ngrams
from models.training.thinker import ThinkerRecipe, copy_thinker, train_thinker
from models.training.thinker_data import Exchanges, ExchangesConfig, dialogue_texts
from models.training.tokenizer_features import encode_features, speed_of
from tests.models.training.conftest import TEXTS
from tests.tiny import THINKER, tiny_thinker

RECIPE = ThinkerRecipe(batch=300, model=THINKER, exchanges=ExchangesConfig(noises=4))


@pytest.fixture(autouse=True)
def without_synthesizers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinker_data, "_about_itself", lambda seed: [])


def test_rows_pair_audio_with_answers(root: Path, corpus: Corpus, weights: Path) -> None:
    config = ExchangesConfig(nothing_heard=0.3, written=0.3, noises=4)
    model = tiny_thinker()
    features = [encode_features(root, corpus, weights)]
    made = Exchanges(root, corpus, features, load_tokenizer(weights), model, 0, config, 1200)
    rows = [row for seed in range(20) for row in made.draw(np.random.default_rng(seed))]
    assert all([turn.who for turn in row] == [USER, AGENT] * (len(row) // 2) for row in rows)
    answers = {model.backbone.decode(row[-1].tokens).lower() for row in rows}
    assert any("onion" in answer for answer in answers)  # by the rule
    assert "the baker did." in answers  # from the other dialogue
    assert any("did not catch" in answer for answer in answers)
    heard = [t.spoken_tokens for row in rows for t in row if t.spoken_tokens is not None]
    assert model.backbone.word("baker") in torch.cat(heard)
    lengths = {len(turn.sound) for row in rows for turn in row if turn.sound is not None}
    assert len(lengths) > 2 and any(turn.sound is None for row in rows for turn in row[::2])
    again = made.draw(np.random.default_rng(3))
    first = made.draw(np.random.default_rng(3))
    assert [[t.tokens for t in row] for row in again] == [[t.tokens for t in row] for row in first]


def test_the_recipe_writes_what_can_be_loaded(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    train_thinker(Job(root, corpus, weights, tmp_path, 0, Budget(2)), RECIPE)
    thinker = load_thinker(weights)
    assert "onion" in thinker.config.words and thinker.config.feature_dim == 16
    stored = json.loads((weights / "omni-thinker.json").read_text())
    assert stored["backbone"] == "" and len(stored["words"]) == len(set(stored["words"]))
    train_thinker(Job(root, corpus, weights, tmp_path, 0, Budget(3), resume=True), RECIPE)
    steps = (tmp_path / "omni-thinker" / "checkpoint.safetensors").exists()
    assert steps


def test_further_copies_embeddings_by_word(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    train_thinker(Job(root, corpus, weights, tmp_path, 0, Budget(2)), RECIPE)
    before = load_thinker(weights)
    words = tuple(reversed(before.config.words))[:-1]  # one is new
    model = build_thinker(dataclasses.replace(before.config, words=("quokka", *words)), weights)
    fresh = model.backbone.embedding.weight.detach().clone()
    copy_thinker(model, weights)
    for word in ("onion", "baker"):
        old, new = before.backbone.word(word), model.backbone.word(word)
        taken = model.backbone.embedding.weight[new]
        assert old != new and torch.equal(taken, before.backbone.embedding.weight[old])
    quokka = model.backbone.word("quokka")
    assert torch.equal(model.backbone.embedding.weight[quokka], fresh[quokka])
    assert torch.equal(model.state_head.weight, before.state_head.weight)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_most_rows_are_generated_text(root: Path, corpus: Corpus, weights: Path) -> None:
    config = ExchangesConfig(written=1.0, noises=4)
    model = tiny_thinker()
    made = Exchanges(root, corpus, [], load_tokenizer(weights), model, 0, config, 1200)
    rows = [row for seed in range(3) for row in made.draw(np.random.default_rng(seed))]
    assert all(turn.tokens and turn.sound is None for row in rows for turn in row)
    assert len({tuple(row[0].tokens) for row in rows}) > len(rows) * 0.9
    assert len({len(row) for row in rows}) > 2


def test_copies_are_played_at_another_speed(
    root: Path, corpus: Corpus, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ExchangesConfig(written=0.0, typed=0.0, noises=4)
    features = [encode_features(root, corpus, weights, copy) for copy in range(3)]
    for copy in (1, 2):
        again = encode_features(root, corpus, weights, copy)
        for index, utterance in enumerate(corpus.utterances):
            length = len(utterance.samples) / speed_of(utterance, copy)
            assert abs(len(features[copy][index]) * FRAME_SAMPLES - length) <= FRAME_SAMPLES
            assert np.array_equal(features[copy][index], again[index])
    speeds = [speed_of(utterance, copy) for utterance in corpus.utterances for copy in (1, 2)]
    assert min(speeds) < 0.95 and max(speeds) > 1.05 and 0.8 < min(speeds) < max(speeds) < 1.2
    model = tiny_thinker()
    made = Exchanges(root, corpus, features, load_tokenizer(weights), model, 0, config, 1200)
    rows = [row for seed in range(20) for row in made.draw(np.random.default_rng(seed))]
    turns = [turn for row in rows for turn in row if turn.spoken_tokens is not None]
    assert turns
    for turn in turns:  # a word per position, same words in the same order
        assert len(turn.spoken_tokens) == -(-len(turn.sound) // model.config.group)
    monkeypatch.setattr(made, "_group", 1)
    slow, plain = (made._spoken_tokens(0, round(20 / speed), speed) for speed in (0.8, 1.0))
    assert len(slow) == 25 and len(plain) == 20
    said, told = ([k for k, _ in itertools.groupby(x.tolist())] for x in (slow, plain))
    assert said == told and len(told) > 2


def test_generated_text_imitates_adapter_output(root: Path, corpus: Corpus, weights: Path) -> None:
    config = ExchangesConfig(written=1.0, as_heard=1.0, misheard=0.0, extra=0.0, noises=4)
    words = vocabulary(dialogue_texts(root, corpus, 0))
    model = build_thinker(dataclasses.replace(tiny_thinker().config, words=words), weights)
    made = Exchanges(root, corpus, [], load_tokenizer(weights), model, 0, config, 1200)
    for row in made.draw(np.random.default_rng(0)):
        heard = row[0].tokens
        said = [token for token, _ in itertools.groupby(heard)]
        assert len(said) < len(heard)
        assert not set(".,?!") & set(model.backbone.decode(said))


def test_stage_one_needs_a_language_model(
    root: Path, corpus: Corpus, weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="--backbone"):
        train_thinker(Job(root, corpus, weights, tmp_path, 0, Budget(1)), RECIPE, stage=1)


def test_vocabulary_covers_questions_and_answers(root: Path, corpus: Corpus) -> None:
    texts = list(dialogue_texts(root, corpus, 0))
    assert set(TEXTS) <= set(texts)
    assert len(texts) > 2 * len(TEXTS) + 3


def test_ngrams_fold_into_plain_embeddings() -> None:
    """A word learns from similarly spelled ones and keeps what it learnt."""
    embedding = torch.nn.Embedding(4, 8)
    add_ngrams(embedding, ("bake", "baker", "bakes", "oven"))
    embedding(torch.tensor([0])).sum().backward()
    grams = embedding.parametrizations.weight[0].table.weight
    assert grams.grad.abs().sum() > 0
    with torch.no_grad():
        grams -= grams.grad
    taught = embedding.weight.detach().clone()
    original = embedding.parametrizations.weight.original
    assert not torch.allclose(taught[1], original[1]) and torch.allclose(taught[3], original[3])
    fold_ngrams(embedding)
    assert isinstance(embedding.weight, torch.nn.Parameter)
    torch.testing.assert_close(embedding.weight.detach(), taught)
