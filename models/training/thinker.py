"""Recipe: the thinker of speech-to-speech, on dialogues heard by the trained tokenizer."""

import dataclasses
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from data.errors import InputError
from models.checkpoint import save_model
from models.omni import load_thinker
from models.predictors.backbones import HuggingFaceBackbone, WordBackbone
from models.predictors.thinker import Thinker, ThinkerConfig, build_thinker
from models.text.words import vocabulary
from models.tokenizers.semantic import load_tokenizer
from models.training.exchanges import Exchanges, dialogue_texts
from models.training.heard import encode_heard
from models.training.job import Job
from models.training.loop import done_once, train
from models.training.spelling import settle, spell
from models.training.warm_start import FURTHER_RATE

logger = logging.getLogger(__name__)

COPIES = 2  # of each utterance, as others would have said it
BACKBONE_FOLDER = "omni-thinker-backbone"


def train_thinker(
    job: Job,
    backbone: Path | None = None,
    stage: int = 2,
    further: bool = False,
) -> None:
    """Trains the thinker and writes `omni-thinker.safetensors`.

    The tokenizer's encoder, which stands for the paper's Whisper, stays as it is. Stage 1 trains
    what connects it with a language model that stays as it is too, stage 2 everything (Flow-Omni,
    section 2.4); a backbone of our own has nothing to keep and knows stage 2 only. `further` begins
    with the thinker in `out`.

    Raises:
        InputError: stage 1 without a backbone.
        MissingModelError: there is no thinker to begin with.
    """
    if stage == 1 and backbone is None:
        raise InputError("--stage 1 keeps a language model as it is: name one with --backbone DIR")
    tokenizer = load_tokenizer(job.out)
    torch.manual_seed(job.seed)
    config = ThinkerConfig(feature_dim=tokenizer.config.dim)
    if backbone is None:
        config = dataclasses.replace(
            config, words=vocabulary(dialogue_texts(job.data, job.corpus, job.seed))
        )
        logger.info("%d words", len(config.words))
    else:
        config = dataclasses.replace(config, backbone=str(backbone.resolve()))
    model = build_thinker(config, job.out)
    if further:
        begin_with(model, job.out)
    mind = model.backbone
    if isinstance(mind, WordBackbone):
        spell(mind.embedding, mind.words.tokens)
    if stage == 1:
        mind.requires_grad_(False)
    heard = [encode_heard(job.data, job.corpus, job.out, copy) for copy in range(1 + COPIES)]
    exchanges = Exchanges(job.data, job.corpus, heard, tokenizer, model, job.seed)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        with parametrize.cached():
            losses = model.losses(exchanges.draw(generator))
        return {"total": losses.total, **vars(losses)}

    rate = 2e-4 if backbone is not None else FURTHER_RATE if further else 1e-3
    run = job.run(Thinker.name, rate, weight_decay=0.05)
    train(run, model, draw)
    if isinstance(mind, WordBackbone):
        settle(mind.embedding)
    done_once(lambda: save_thinker(job.out, model, stage))


@torch.no_grad()
def begin_with(model: Thinker, folder: Path) -> None:
    """Copies the weights of the thinker in `folder`, the vectors of words by word. Layers that its
    adapter does not have begin by changing nothing."""
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
    for block in list(model.adapter.transformer.blocks)[before.config.listen_depth :]:
        nn.init.zeros_(block.attention.out.weight)
        nn.init.zeros_(block.down.weight)
    model.load_state_dict(own | weights)


def save_thinker(out: Path, model: Thinker, stage: int) -> None:
    """Writes the thinker; a Hugging Face backbone that was trained, as a folder of its own."""
    if isinstance(model.backbone, HuggingFaceBackbone):
        if stage == 2:
            model.backbone.save(out / BACKBONE_FOLDER)
            model.config = dataclasses.replace(model.config, backbone=BACKBONE_FOLDER)
        save_model(out, Thinker.name, model.bare(), model.config, half=True)
    else:
        save_model(out, Thinker.name, model, model.config, half=True, int8=True)
