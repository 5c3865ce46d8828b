"""Recipe: Flow-Omni, on dialogues and the autoencoder's latents."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from data.errors import InputError
from models.checkpoint import load_config, load_tensors
from models.predictors.flow_omni import FlowOmni, FlowOmniConfig
from models.predictors.frames import Latents
from models.tokenizers.semantic import load_tokenizer
from models.training.configuration import Recipe, check_sizes, setting
from models.training.dialogues import DERIVED, DialogueRecipe, Dialogues
from models.training.encoded import LatentPosterior, encode_corpus, encode_latents
from models.training.job import Job
from models.training.loop import CHECKPOINT, clear_run, train
from models.training.losses import weighted
from models.training.short_context_data import ShortContextData
from models.training.warm_start import (
    copy_what_fits,
    load_further,
    start_from,
    start_further,
    trained_talker,
    with_all_symbols,
)

_MEASURED_UTTERANCES = 500


@dataclass(frozen=True)
class FlowOmniWeights:
    """Loss weights."""

    flow: float = setting(1.0, "of the flow's velocity")
    mean: float = setting(1.0, "of the mean of the next latent")
    advance: float = setting(1.0, "of the pointer's advance")
    plan: float = setting(0.3, "of the plan tokens")


@dataclass(frozen=True)
class ShortContextRecipe:
    """Settings of pre-training the short context alone."""

    rate: float = setting(1e-3, "peak learning rate")
    batch: int = setting(2048, "frames per step")
    steps: float = setting(2.0, "steps, relative to those of joint training")
    minutes: float = setting(0.25, "minutes, relative to joint training, with --minutes", high=1)


@dataclass(frozen=True)
class DistillationRecipe(Recipe):
    """Settings of `--distill`."""

    steps: int = setting(2000, "optimiser steps, unless --minutes is given")
    batch: int = setting(1280, "sequence positions per step, about")
    teacher_steps: int = setting(8, "Euler steps of the teacher; a multiple of 4")

    def __post_init__(self) -> None:
        if self.teacher_steps % 4:
            raise InputError(
                f"distillation.teacher_steps is {self.teacher_steps}; it must be a multiple of 4"
            )


@dataclass(frozen=True)
class FlowOmniRecipe(DialogueRecipe):
    """Settings of training Flow-Omni."""

    derived = tuple(f"model.{name}" for name in (*DERIVED, "latent_dim", "flow_map"))

    rate: float = setting(1e-3, "peak learning rate, after warm-up")
    losses: FlowOmniWeights = field(default_factory=FlowOmniWeights)
    short_context: ShortContextRecipe = field(default_factory=ShortContextRecipe)
    distillation: DistillationRecipe = field(default_factory=DistillationRecipe)
    model: FlowOmniConfig = field(default_factory=FlowOmniConfig)


def train_flow_omni(
    job: Job, recipe: FlowOmniRecipe, warm: bool = True, further: bool = False
) -> FlowOmniRecipe:
    """Trains the predictor and writes `flow-omni.safetensors`; returns the recipe as made.

    `warm` starts from the GPT-Talker in `out`, if there is one; `further` fine-tunes the Flow-Omni
    there, or those of its weights that fit if the latent dimension has changed. The short context
    is pre-trained alone, except when fine-tuning with the same latents. Rows are as GPT-Talker's;
    frames are samples of the posterior, not its mean, which would be too easy to predict (SALAD,
    arXiv 2410.16048), except in dimensions that carry no information.

    Long because it reads top to bottom, as the recipe does.

    Raises:
        MissingModelError: `further`, but `out` has no Flow-Omni.
    """
    if further:
        start = start_further(recipe)
    else:
        start = start_from(trained_talker(job.out) if warm else None, recipe)
    dialogues, latents = latent_dialogues(job, recipe, start.batch)
    torch.manual_seed(job.seed)
    latent_dim = latents[0].mean.shape[1]
    known = load_config(job.out, FlowOmni.name, FlowOmniConfig) if further else None
    if known is not None:
        check_sizes(recipe, known, FlowOmni.name)
    if known is not None and known.latent_dim == latent_dim:
        spoken = dialogues.sizes["languages"]
        model = load_further(job.out, FlowOmni.name, FlowOmni, FlowOmniConfig, spoken)
    else:
        if known is not None:
            spoken = dialogues.sizes["languages"]
            config = replace(with_all_symbols(known), latent_dim=latent_dim, languages=spoken)
            model = FlowOmni(config)
            copy_what_fits(model, load_tensors(job.out, FlowOmni.name))
        else:
            sizes = start.sizes(dialogues, recipe)
            model = FlowOmni(replace(recipe.model, **sizes, latent_dim=latent_dim))
            start.fill(model)
        mean, std = _statistics(latents, job.seed)
        model.latent_mean.copy_(mean)
        model.latent_std.copy_(std)
        if not job.resume:
            clear_run(job.work / FlowOmni.name)  # before the long pre-training
        if not (job.work / FlowOmni.name / CHECKPOINT).exists():
            _pretrain_short_context(job, recipe.short_context, model, dialogues, latents)
    model.requires_grad_(True)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        rows = model.read(dialogues.draw(generator, model))
        losses = model.losses(model(rows.embedded), rows)
        return weighted(vars(losses), recipe.losses)

    train(job.run(FlowOmni.name, recipe, start.rate), model, draw)
    # int8 rounding (1/200 of a weight) is inaudible beside the flow's own noise.
    job.save(FlowOmni.name, model, model.config, int8=True)
    return replace(recipe, model=model.config)


def latent_dialogues(
    job: Job, recipe: FlowOmniRecipe, batch: int
) -> tuple[Dialogues, list[LatentPosterior]]:
    """Dialogues whose frames are latents, and the latents of every utterance."""
    latents = encode_latents(job.data, job.corpus, job.out)
    dialogues = Dialogues(
        job.corpus,
        encode_corpus(job.data, job.corpus, job.out),
        load_tokenizer(job.out),
        lambda index: Latents(latents[index].sample_informative()),
        recipe,
        batch,
    )
    return dialogues, latents


def _pretrain_short_context(
    job: Job,
    recipe: ShortContextRecipe,
    model: FlowOmni,
    dialogues: Dialogues,
    latents: list[LatentPosterior],
) -> None:
    """Pre-trains the short-context MLP alone; its steps are far cheaper than joint ones."""
    corpus = ShortContextData(dialogues, latents, model)
    model.requires_grad_(False)
    for part in model.short_context_modules():
        part.requires_grad_(True)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        found = corpus.draw(generator, recipe.batch, model.config.recent_frames)
        found = found.to(model.latent_mean.device)
        with torch.no_grad():
            manner = model.manner(found.plan, found.style)
            condition = model.frame_condition(found.age, manner, found.around)
        recent = found.there[..., None] * model.normalised(found.before)
        frames = model.normalised(found.frames)
        flow, mean = model.frame_losses(model.short_context(recent.flatten(1), condition), frames)
        return {"total": flow + mean, "flow": flow, "mean": mean}

    part = replace(job, budget=job.budget.times(recipe.steps, recipe.minutes))
    train(part.run("flow-omni-near", Recipe(rate=recipe.rate)), model, draw)


def _statistics(latents: list[LatentPosterior], seed: int) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng(seed)
    count = min(_MEASURED_UTTERANCES, len(latents))
    chosen = generator.choice(len(latents), count, replace=False)
    drawn = torch.cat([latents[int(index)].sample() for index in chosen])
    return drawn.mean(0), drawn.std(0)
