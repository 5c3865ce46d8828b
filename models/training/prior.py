"""Recipe: the prior flow, on the autoencoder's latents."""

import logging
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from models.checkpoint import load_config, load_tensors
from models.tokenizers.semantic import load_tokenizer
from models.training.configuration import check_sizes, setting
from models.training.crops import stack
from models.training.encoded import Encoded, encode_corpus
from models.training.frames import FrameRecipe, frame_crops
from models.training.job import Job
from models.training.loop import device, train
from models.training.predictor_samples import draw_codes
from models.training.warm_start import (
    copy_what_fits,
    trained_talker,
    with_all_symbols,
)
from models.vocoder.codec import load_codec
from models.vocoder.posterior import sample
from models.vocoder.prior import Prior, PriorConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PriorRecipe(FrameRecipe):
    """Settings of training the prior."""

    derived = ("model.symbols", "model.levels", "model.latent_dim", "model.style_dim")

    drawn: float = setting(0.5, "share of crops with codes sampled by GPT-Talker", high=1)
    model: PriorConfig = field(default_factory=PriorConfig)


def train_prior(job: Job, recipe: PriorRecipe, further: bool = False) -> PriorRecipe:
    """Trains the prior by maximum likelihood and writes `prior.safetensors`; returns the recipe as
    made.

    Targets are samples of the posterior, not its mean. The style comes from another utterance. If
    `out` holds a GPT-Talker, half of the crops use codes sampled from it
    (`models.training.predictor_samples`), so that the prior learns to follow the phone where codes
    are unreliable. `further` starts from the prior in `out`, or from the weights of it that still
    fit if the latent space has changed.

    Long because it reads top to bottom, as the recipe does.

    Raises:
        MissingModelError: `out` lacks a model it depends on.
    """
    where = device()
    posterior = load_codec(job.out)[0].to(where)
    encoded = encode_corpus(job.data, job.corpus, job.out)
    torch.manual_seed(job.seed)
    if further:
        known = load_config(job.out, "prior", PriorConfig)
        check_sizes(recipe, known, "prior")
        config = replace(with_all_symbols(known), latent_dim=posterior.config.latent_dim)
    else:
        config = replace(
            recipe.model,
            levels=load_tokenizer(job.out).config.levels,
            latent_dim=posterior.config.latent_dim,
            style_dim=len(encoded[0].style),
        )
    model, fresh = Prior(config), None
    if further:
        fresh = copy_what_fits(model, load_tensors(job.out, "prior"))
    talker, drawn = trained_talker(job.out), None
    if talker is not None:
        drawn = draw_codes(
            job.data,
            job.corpus,
            encoded,
            job.out,
            talker,
            lambda index: encoded[index].semantic,
            job.seed,
        )
        agreement = 100 * _agreement(encoded, drawn)
        logger.info("%.0f %% of the sampled codes equal the true ones", agreement)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = frame_crops(generator, job.corpus, encoded, recipe)
        codes = batch.of(lambda index: encoded[index].codes)
        if drawn is not None:
            sampled = torch.from_numpy(generator.random((recipe.batch, 1)) < recipe.drawn)
            codes = torch.where(sampled, batch.of(drawn.__getitem__), codes)
        samples = stack(batch.crops).to(where)
        with torch.no_grad():
            mean, log_variance = posterior(posterior.features(samples))
        latents = sample(mean, log_variance)
        log_prob = model.log_prob(
            latents, codes.long().to(where), batch.phones.to(where), batch.style.to(where)
        )
        mask = batch.valid.to(where)
        loss = -(log_prob * mask).sum() / mask.sum() / config.latent_dim
        return {"total": loss}

    # New weights need the learning rate of a new model.
    rate = recipe.further_rate if fresh == [] else recipe.rate
    train(job.run("prior", recipe, rate), model, draw)
    job.save("prior", model, config, int8=True)
    return replace(recipe, model=config)


def _agreement(encoded: list[Encoded], drawn: list[np.ndarray]) -> float:
    same = [np.equal(e.codes, d).mean() for e, d in zip(encoded, drawn, strict=True)]
    return float(np.mean(same))
