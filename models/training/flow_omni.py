"""Recipe: the Flow-Omni predictor, on dialogues and the latents of the trained autoencoder."""

import dataclasses

import numpy as np
import torch
from torch import Tensor

from models.checkpoint import load_config, load_tensors
from models.predictors.flow_omni import FlowOmni, FlowOmniConfig
from models.tokenizers.semantic import load_tokenizer
from models.training.dialogues import Dialogues
from models.training.encoded import Latents, encode_corpus, encode_latents
from models.training.job import Job
from models.training.loop import CHECKPOINT, forget, train
from models.training.near import NearCorpus
from models.training.warm_start import (
    FURTHER,
    copy_what_fits,
    load_further,
    start_with,
    trained_talker,
    with_all_symbols,
)

_MEASURED_UTTERANCES = 500
_NEAR_STEPS = 2  # of the short context alone, to one of all
_NEAR_SHARE = 0.25  # of the minutes
_NEAR_RATE = 1e-3


def train_flow_omni(job: Job, warm: bool = True, further: bool = False) -> None:
    """Trains the predictor and writes `flow-omni.safetensors`.

    With `warm` it begins with the weights of the GPT-Talker in `out`, where there is one, with
    `further` with those of the Flow-Omni there, or with what fits of it where latents have another
    number of numbers. Its short context is trained alone first, but where it goes on with the same.

    Rows as GPT-Talker's; the frames are draws from the posterior, not its mean (SALAD, arXiv
    2410.16048: the mean is too easy to follow), but where the posterior is as wide as its prior.

    Raises:
        MissingModelError: `further`, and there is no Flow-Omni in `out`.
    """
    start = FURTHER if further else start_with(trained_talker(job.out) if warm else None, 1e-3)
    dialogues, latents = latent_dialogues(job, start.num_positions)
    torch.manual_seed(job.seed)
    latent_dim = latents[0].mean.shape[1]
    known = load_config(job.out, FlowOmni.name, FlowOmniConfig) if further else None
    if known is not None and known.latent_dim == latent_dim:
        model = load_further(job.out, FlowOmni.name, FlowOmni, FlowOmniConfig)
    else:
        if known is not None:
            config = dataclasses.replace(with_all_symbols(known), latent_dim=latent_dim)
            model = FlowOmni(config)
            copy_what_fits(model, load_tensors(job.out, FlowOmni.name))
        else:
            model = FlowOmni(FlowOmniConfig(**start.sizes(dialogues), latent_dim=latent_dim))
            start.fill(model)
        mean, std = _statistics(latents, job.seed)
        model.latent_mean.copy_(mean)
        model.latent_std.copy_(std)
        if not job.resume:
            forget(job.work / FlowOmni.name)  # before the hour that the near takes
        if not (job.work / FlowOmni.name / CHECKPOINT).exists():
            _train_near(job, model, dialogues, latents)
    model.requires_grad_(True)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        rows = model.read(dialogues.draw(generator, model.config))
        losses = model.losses(model(rows.embedded), rows)
        return {"total": losses.total, **vars(losses)}

    train(job.run(FlowOmni.name, start.rate, weight_decay=0.05), model, draw)
    # The flow adds noise of its own: a two-hundredth of a weight is not heard.
    job.save(FlowOmni.name, model, model.config, int8=True)


def latent_dialogues(job: Job, num_positions: int) -> tuple[Dialogues, list[Latents]]:
    """Dialogues whose frames are latents, and the latents of each utterance."""
    latents = encode_latents(job.data, job.corpus, job.out)
    dialogues = Dialogues(
        job.corpus,
        encode_corpus(job.data, job.corpus, job.out),
        load_tokenizer(job.out),
        lambda index: latents[index].sample_of_heard(),
        num_positions,
    )
    return dialogues, latents


def _train_near(job: Job, model: FlowOmni, dialogues: Dialogues, latents: list[Latents]) -> None:
    """What a frame owes to those just before it and to its phone, learnt without the transformer:
    in the time of one step with it there is room for many without."""
    corpus = NearCorpus(dialogues, latents, model)
    model.requires_grad_(False)
    for part in model.near_parts():
        part.requires_grad_(True)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        found = corpus.draw(generator, model.config.recent_frames).to(model.latent_mean.device)
        with torch.no_grad():
            manner = model.manner(found.plan, found.style)
            told = model.told(found.age, manner, found.around)
        recent = found.there[..., None] * model.normalised(found.before)
        frames = model.normalised(found.frames)
        flow, mean = model.frame_losses(model.near(recent.flatten(1), told), frames)
        return {"total": flow + mean, "flow": flow, "mean": mean}

    budget = job.budget.times(_NEAR_STEPS, _NEAR_SHARE)
    run = dataclasses.replace(job.run("flow-omni-near", _NEAR_RATE), budget=budget)
    train(run, model, draw)


def _statistics(latents: list[Latents], seed: int) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng(seed)
    count = min(_MEASURED_UTTERANCES, len(latents))
    chosen = generator.choice(len(latents), count, replace=False)
    drawn = torch.cat([latents[int(index)].sample() for index in chosen])
    return drawn.mean(0), drawn.std(0)
