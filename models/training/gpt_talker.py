"""Recipe: GPT-Talker, on dialogues."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from models.checkpoint import load_model
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.tokenizers.semantic import load_tokenizer
from models.training.dialogues import (
    DERIVED,
    DialogueRecipe,
    Dialogues,
    DialogueWeights,
)
from models.training.encoded import encode_corpus
from models.training.job import Job
from models.training.loop import train
from models.training.losses import weighted
from models.training.warm_start import start_from


@dataclass(frozen=True)
class GPTTalkerRecipe(DialogueRecipe):
    """Settings of training GPT-Talker."""

    derived = tuple(f"model.{name}" for name in (*DERIVED, "levels"))

    losses: DialogueWeights = field(default_factory=DialogueWeights)
    model: GPTTalkerConfig = field(default_factory=GPTTalkerConfig)


def train_gpt_talker(job: Job, recipe: GPTTalkerRecipe, further: bool = False) -> GPTTalkerRecipe:
    """Trains the predictor and writes `gpt-talker.safetensors`; returns the recipe as made.
    `further` fine-tunes the one in `out`.

    A row is a stretch of dialogue with at most six past turns; every turn with sound is a target,
    given everything before it.

    Raises:
        MissingModelError: `out` lacks a model it depends on.
    """
    tokenizer = load_tokenizer(job.out)
    encoded = encode_corpus(job.data, job.corpus, job.out)
    talker = None
    if further:
        talker = load_model(job.out, "gpt-talker", GPTTalker, GPTTalkerConfig)
    start = start_from(talker, recipe)
    dialogues = Dialogues(
        job.corpus, encoded, tokenizer, lambda index: encoded[index].semantic, recipe, start.batch
    )
    torch.manual_seed(job.seed)
    sizes = start.sizes(dialogues, recipe)
    config = replace(recipe.model, **sizes, levels=tokenizer.config.levels)
    model = GPTTalker(config)
    start.fill(model)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        rows = model.read(dialogues.draw(generator, model))
        losses = model.losses(model(rows.embedded), rows.positions)
        return weighted(vars(losses), recipe.losses)

    train(job.run("gpt-talker", recipe, start.rate), model, draw)
    # int8 rounding (1/200 of a weight) matters less than sampling does.
    job.save("gpt-talker", model, config, int8=True)
    return replace(recipe, model=config)
