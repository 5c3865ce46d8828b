"""Recipe: the GPT-Talker predictor, on dialogues."""

from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from models.checkpoint import load_model
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.tokenizers.semantic import load_tokenizer
from models.training.dialogues import Dialogues, codes_of
from models.training.encoded import encode_corpus
from models.training.job import Job
from models.training.loop import train
from models.training.warm_start import start_with


def train_gpt_talker(
    job: Job,
    further: bool = False,
    order: Literal["ABAB", "AABB"] = "ABAB",
) -> None:
    """Trains the predictor and writes `gpt-talker.safetensors`; with `further` it begins with the
    one in `out`. `order` is that of a dialogue's past, for the ablation (GPT-Talker, section 3.3).

    A sequence is a stretch of a dialogue with at most six past turns; every turn that has sound is
    a target, given all before it.

    Raises:
        MissingModelError: a model that it needs is not in `out`.
    """
    tokenizer = load_tokenizer(job.out)
    encoded = encode_corpus(job.data, job.corpus, job.out)
    talker = None
    if further:
        talker = load_model(job.out, "gpt-talker", GPTTalker, GPTTalkerConfig)
    start = start_with(talker, 1.2e-3)
    dialogues = Dialogues(
        job.corpus, encoded, tokenizer, partial(codes_of, encoded), start.num_positions
    )
    torch.manual_seed(job.seed)
    config = GPTTalkerConfig(**start.sizes(dialogues), levels=tokenizer.config.levels, order=order)
    model = GPTTalker(config)
    start.fill(model)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        rows = model.read(dialogues.draw(generator, config))
        losses = model.losses(model(rows.embedded), rows.positions)
        return {"total": losses.total, **vars(losses)}

    run = job.run("gpt-talker", start.rate, weight_decay=0.05)
    train(run, model, draw)
    # A two-hundredth of a weight moves the draw of a code less than the draw itself does.
    job.save("gpt-talker", model, config, int8=True)
