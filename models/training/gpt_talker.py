"""Recipe: the GPT-Talker predictor, on dialogues."""

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from models.checkpoint import save_model
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.training.corpus import Corpus
from models.training.dialogues import Dialogues, codes_of
from models.training.encoded import encode_corpus, load_tokenizer
from models.training.loop import Budget, Run, train
from models.training.warm_start import WARM_RATE, begin_with, shared_sizes, trained_talker


def train_gpt_talker(
    root: Path,
    corpus: Corpus,
    out: Path,
    work: Path,
    seed: int,
    budget: Budget,
    resume: bool,
    further: bool = False,
    order: Literal["ABAB", "AABB"] = "ABAB",
) -> None:
    """Trains the predictor and writes `gpt-talker.safetensors`; with `further` it begins with the
    one in `out`. `order` is that of a dialogue's past, for the ablation (GPT-Talker, section 3.3).

    A sequence is a stretch of a dialogue with at most six past turns; every turn that has sound is
    a target, given all before it.
    """
    tokenizer = load_tokenizer(out)
    encoded = encode_corpus(root, corpus, out)
    dialogues = Dialogues(corpus, encoded, tokenizer, lambda index: codes_of(encoded, index))
    talker = trained_talker(out) if further else None
    sizes = dialogues.sizes if talker is None else shared_sizes(talker)
    torch.manual_seed(seed)
    config = GPTTalkerConfig(**sizes, levels=tokenizer.config.levels, order=order)
    model = GPTTalker(config)
    if talker is not None:
        begin_with(model, talker)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        embedded, positions, _ = model.read(dialogues.draw(generator, config))
        losses = model.losses(model(embedded), positions)
        return {"total": losses.total, **vars(losses)}

    rate = 1.2e-3 if talker is None else WARM_RATE
    run = Run(work / "gpt-talker", seed, budget, rate, weight_decay=0.05, resume=resume)
    train(run, model, draw)
    # A two-hundredth of a weight moves the draw of a code less than the draw itself does.
    save_model(out, "gpt-talker", model, config, half=True, int8=True)
