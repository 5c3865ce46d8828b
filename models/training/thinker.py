"""Recipe: the speech-to-speech thinker, on dialogues encoded by the trained tokenizer."""

import dataclasses
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from data.errors import InputError
from models.checkpoint import load_config, save_model
from models.omni import load_thinker
from models.predictors.backbones import HuggingFaceBackbone, WordBackbone
from models.predictors.thinker import Thinker, ThinkerConfig, build_thinker
from models.text.words import vocabulary
from models.tokenizers.semantic import load_tokenizer
from models.training.configuration import Recipe, check_sizes, setting
from models.training.job import Job
from models.training.loop import on_first_process, train
from models.training.losses import weighted
from models.training.ngram_embedding import add_ngrams, fold_ngrams
from models.training.thinker_data import Exchanges, ExchangesConfig, dialogue_texts
from models.training.tokenizer_features import encode_features
from models.transformer import TransformerBlock

logger = logging.getLogger(__name__)

BACKBONE_FOLDER = "omni-thinker-backbone"
_KEPT = ("group", "dim", "depth", "num_heads", "ffn_dim")  # the adapter alone may grow, in layers


@dataclass(frozen=True)
class ThinkerWeights:
    """Loss weights."""

    word: float = setting(1.0, "of the next word")
    state: float = setting(0.3, "of the next state")
    listen: float = setting(1.0, "of the word at each audio position")


@dataclass(frozen=True)
class ThinkerRecipe(Recipe):
    """Settings of training the thinker."""

    derived = ("model.feature_dim", "model.words", "model.backbone")

    further_rate: float = setting(4e-4, "peak learning rate with --further")
    backbone_rate: float = setting(2e-4, "peak learning rate with --backbone")
    weight_decay: float = setting(0.05, "of AdamW")
    batch: int = setting(1200, "sequence positions per step, about")
    copies: int = setting(2, "augmented copies of each utterance", low=0)
    exchanges: ExchangesConfig = field(default_factory=ExchangesConfig)
    losses: ThinkerWeights = field(default_factory=ThinkerWeights)
    model: ThinkerConfig = field(default_factory=ThinkerConfig)


def train_thinker(
    job: Job,
    recipe: ThinkerRecipe,
    backbone: Path | None = None,
    stage: int = 2,
    further: bool = False,
) -> ThinkerRecipe:
    """Trains the thinker and writes `omni-thinker.safetensors`; returns the recipe as made.

    The tokenizer's encoder takes the place of the paper's Whisper and stays frozen. Stage 1 trains
    the parts that connect it to a frozen language model, stage 2 everything (Flow-Omni, section
    2.4); our own backbone is trained from scratch, so it has stage 2 only. `further` starts from
    the thinker in `out`.

    Long because it reads top to bottom, as the recipe does.

    Raises:
        InputError: stage 1 without a backbone.
        MissingModelError: there is no thinker to start from.
    """
    if stage == 1 and backbone is None:
        raise InputError("--stage 1 freezes a language model: give one by --backbone DIR")
    tokenizer = load_tokenizer(job.out)
    torch.manual_seed(job.seed)
    config = dataclasses.replace(recipe.model, feature_dim=tokenizer.config.dim)
    if backbone is None:
        config = dataclasses.replace(
            config, words=vocabulary(dialogue_texts(job.data, job.corpus, job.seed))
        )
        logger.info("%d words", len(config.words))
    else:
        config = dataclasses.replace(config, backbone=str(backbone.resolve()))
    if further:
        known = load_config(job.out, Thinker.name, ThinkerConfig)
        check_sizes(recipe, known, Thinker.name, names=_KEPT)
        config = dataclasses.replace(config, **{name: getattr(known, name) for name in _KEPT})
    model = build_thinker(config, job.out)
    if further:
        copy_thinker(model, job.out)
    words_model = model.backbone
    if isinstance(words_model, WordBackbone):
        add_ngrams(words_model.embedding, words_model.words.tokens)
    if stage == 1:
        words_model.requires_grad_(False)
    features = [
        encode_features(job.data, job.corpus, job.out, copy) for copy in range(1 + recipe.copies)
    ]
    exchanges = Exchanges(
        job.data,
        job.corpus,
        features,
        tokenizer,
        model,
        job.seed,
        recipe.exchanges,
        recipe.batch,
    )

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        with parametrize.cached():
            losses = model.losses(exchanges.draw(generator))
        return weighted(vars(losses), recipe.losses)

    rate = recipe.further_rate if further else recipe.rate
    rate = recipe.backbone_rate if backbone is not None else rate
    train(job.run(Thinker.name, recipe, rate), model, draw)
    if isinstance(words_model, WordBackbone):
        fold_ngrams(words_model.embedding)
    on_first_process(lambda: save_thinker(job.out, model, stage))
    return dataclasses.replace(recipe, model=model.config)


@torch.no_grad()
def copy_thinker(model: Thinker, folder: Path) -> None:
    """Copies the weights of the thinker in `folder`, word embeddings by word. Additional adapter
    layers start as the identity."""
    before = load_thinker(folder)
    weights = before.state_dict()
    if isinstance(model.backbone, WordBackbone) and isinstance(before.backbone, WordBackbone):
        table = model.backbone.embedding.weight.clone()
        rows = {token: row for row, token in enumerate(before.backbone.words.tokens)}
        for row, token in enumerate(model.backbone.words.tokens):
            if token in rows:
                table[row] = before.backbone.embedding.weight[rows[token]]
        weights["backbone.embedding.weight"] = table
    own = model.state_dict()
    blocks = cast(list[TransformerBlock], list(model.adapter.transformer.blocks))
    for block in blocks[before.config.listen_depth :]:
        nn.init.zeros_(block.attention.out.weight)
        nn.init.zeros_(block.down.weight)
    model.load_state_dict(own | weights)


def save_thinker(out: Path, model: Thinker, stage: int) -> None:
    """Saves the thinker; a trained Hugging Face backbone goes to a folder of its own."""
    if isinstance(model.backbone, HuggingFaceBackbone):
        if stage == 2:
            model.backbone.save(out / BACKBONE_FOLDER)
            model.config = dataclasses.replace(model.config, backbone=BACKBONE_FOLDER)
        save_model(out, Thinker.name, model.without_backbone(), model.config, half=True)
    else:
        save_model(out, Thinker.name, model, model.config, half=True, int8=True)
