"""Recipe: posterior and decoder, the autoencoder that defines the latent space."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.errors import InputError
from models.checkpoint import load_model
from models.mel import FRAME_SAMPLES
from models.training.adversarial import AdversarialRecipe, Discriminators
from models.training.configuration import Recipe, check_sizes, setting
from models.training.corpus import Corpus
from models.training.crops import another_of_voice, interpolated_f0, random_crop, stack
from models.training.job import Job
from models.training.loop import clear_run, device, train
from models.training.losses import SpectralLoss, weighted
from models.training.warm_start import copy_what_fits
from models.vocoder.decoder import Decoder, DecoderConfig, Excitation
from models.vocoder.posterior import Posterior, PosteriorConfig, sample
from models.vocoder.style import load_style

_HELD = "vocoder-held"  # run of the decoder alone
_ADVERSARIAL = "vocoder-adversarial"
_KEPT = ("frame_dim", "frame_depth", "dim", "depth", "expansion")  # sizes of a decoder's weights
_NEW_LOG_VARIANCE = -4.0  # of added dimensions: informative enough to train the decoder


@dataclass(frozen=True)
class VocoderWeights:
    """Loss weights of posterior and decoder.

    Phonetic information is in the envelope, which decides what latents encode; sound quality
    matters less here.
    """

    mel: float = setting(1.0, "of the log-mel distance")
    envelope: float = setting(1.0, "of the power of areas of the mel spectrogram")
    cepstrum: float = setting(1.5, "of the distance of mel cepstra")
    stft: float = setting(0.3, "of the multi-resolution STFT loss")
    f0: float = setting(2.0, "of the predicted log-F0")
    voicing: float = setting(0.1, "of the predicted voicing")


@dataclass(frozen=True)
class HeldWeights:
    """Loss weights of the decoder alone."""

    mel: float = setting(1.5, "of the log-mel distance")
    cepstrum: float = setting(0.2, "of the distance of mel cepstra")
    stft: float = setting(1.0, "of the multi-resolution STFT loss")
    f0: float = setting(2.0, "of the predicted log-F0")
    voicing: float = setting(0.1, "of the predicted voicing")


@dataclass(frozen=True)
class KLRecipe:
    """Schedule of the KL weight.

    A low weight at first lets latent dimensions open up; raising it later prunes what is not worth
    its cost, since predictors must model everything that remains.
    """

    first: float = setting(0.0005, "initial weight")
    last: float = setting(0.02, "final weight")
    rise_from: float = setting(0.6, "fraction of the run at which it starts to rise", high=1)
    rise_to: float = setting(0.8, "fraction of the run at which it is final", high=1)
    # Free bits, arXiv 1606.04934, C.8.
    free_nats: float = setting(0.5, "free bits: nats per dimension that are not penalised")

    def at(self, progress: float) -> float:
        """The weight at `progress`, 0 to 1, of the run."""
        span = max(self.rise_to - self.rise_from, 1e-9)
        risen = min(1.0, max(0.0, (progress - self.rise_from) / span))
        return self.first * (self.last / self.first) ** risen


@dataclass(frozen=True)
class VocoderRecipe(Recipe):
    """Settings of training posterior and decoder; `held_...` apply to the decoder alone."""

    derived = ("decoder.latent_dim", "decoder.style_dim")

    steps: int = setting(12_000, "optimiser steps, unless --minutes is given")
    further_rate: float = setting(8e-4, "peak learning rate with --further")
    clip: float = setting(5.0, "gradient norm limit")
    batch: int = setting(5, "crops per step")
    crop_frames: int = setting(48, "frames of 40 ms in a crop")
    # The first frames lack their past context.
    lead_frames: int = setting(8, "leading frames excluded from the losses", low=0)
    style_frames: int = setting(75, "frames of the style encoder's input")
    losses: VocoderWeights = field(default_factory=VocoderWeights)
    kl: KLRecipe = field(default_factory=KLRecipe)
    held_share: float = setting(0.4, "share of the budget for the decoder alone", high=1)
    held_rate: float = setting(8e-4, "peak learning rate of the decoder alone")
    held_losses: HeldWeights = field(default_factory=HeldWeights)
    adversarial: AdversarialRecipe = field(default_factory=AdversarialRecipe)
    posterior: PosteriorConfig = field(default_factory=PosteriorConfig)
    decoder: DecoderConfig = field(default_factory=lambda: DecoderConfig(window=480, filters=2))


class Autoencoder(nn.Module):
    """Posterior and decoder, optionally with discriminators, as one module for the optimiser."""

    def __init__(
        self, posterior: Posterior, decoder: Decoder, judges: Discriminators | None = None
    ) -> None:
        super().__init__()
        self.posterior = posterior
        self.decoder = decoder
        self.judges = judges


@dataclass
class Batch:
    """Crops `[B, T]`, style vectors of other utterances of the voices `[B, style_dim]`, and F0 in
    Hz at 100 Hz: measured (0: unvoiced) and interpolated."""

    samples: Tensor
    style: Tensor
    f0: Tensor
    filled: Tensor


class Batches:
    """Samples batches and computes their losses."""

    def __init__(self, corpus: Corpus, out: Path, recipe: VocoderRecipe) -> None:
        self.corpus, self.recipe = corpus, recipe
        lengths = [utterance.num_frames for utterance in corpus.utterances]
        # Shorter ones would be padded with digital silence, whose loss would dominate.
        long = [i for i, length in enumerate(lengths) if length >= recipe.crop_frames]
        self.indices = np.array(long or range(len(lengths)))
        self.device = device()
        self.style = load_style(out).to(self.device)
        self.spectral = SpectralLoss().to(self.device)

    def draw(self, generator: np.random.Generator) -> Batch:
        corpus, where, recipe = self.corpus, self.device, self.recipe
        indices = generator.choice(self.indices, recipe.batch).tolist()
        crops = [random_crop(generator, corpus.utterances[i], recipe.crop_frames) for i in indices]
        references = [
            random_crop(generator, another_of_voice(generator, corpus, i), recipe.style_frames)
            for i in indices
        ]
        with torch.no_grad():
            style = self.style.encode(stack(references).to(where)).clone()
        return Batch(
            stack(crops).to(where),
            style,
            torch.from_numpy(np.stack([crop.f0 for crop in crops])).to(where),
            torch.from_numpy(np.stack([interpolated_f0(crop.f0) for crop in crops])).to(where),
        )

    def losses(
        self, batch: Batch, made: Tensor, excitation: Excitation, weights: object
    ) -> dict[str, Tensor]:
        """Losses of a decoded batch, with their weighted sum as `total`."""
        made, wanted = self.compared(batch, made)
        with torch.autocast(made.device.type, enabled=False):
            losses = self.spectral(made, wanted)
        voiced = (batch.f0 > 0).float()
        losses["f0"] = (
            (excitation.log_f0 - batch.filled.log()).abs() * (0.02 + voiced)
        ).sum() / voiced.sum().clamp_min(1)
        losses["voicing"] = F.binary_cross_entropy_with_logits(excitation.voicing, voiced)
        return weighted(losses, weights)

    def compared(self, batch: Batch, made: Tensor) -> tuple[Tensor, Tensor]:
        """Decoded and target samples, `[B, T]`, cropped to where both are valid."""
        lead = self.recipe.lead_frames * FRAME_SAMPLES
        return made[:, lead:].float(), batch.samples[:, lead : made.shape[1]]


def train_vocoder(
    job: Job,
    recipe: VocoderRecipe,
    further: bool = False,
    latent_dim: int | None = None,
    hold: bool = False,
    adversarial: bool = False,
) -> VocoderRecipe:
    """Trains posterior and decoder jointly, then the decoder alone on the final posterior; writes
    `posterior.safetensors` and `decoder.safetensors`; returns the recipe as made.

    `further` fine-tunes those in `out`, which changes the latent space: retrain or fine-tune
    everything that consumes latents. `hold` keeps the latents and trains the decoder alone;
    `adversarial` does so against discriminators. The style vector comes from another utterance of
    the voice. The source is driven by the measured F0 while the decoder's F0 prediction is trained
    alongside.

    Args:
        job: arguments shared by all recipes.
        recipe: sizes and training settings.
        further: fine-tune the models in `out`.
        latent_dim: latent dimension; None: that of `recipe`, or with `further` that of the model,
            which can only grow.
        hold: train the decoder in `out` alone.
        adversarial: train it alone against discriminators.

    Long because it reads top to bottom, as the recipe does.

    Raises:
        InputError: `further` with a smaller latent dimension.
        MissingModelError: `out` lacks the style encoder or a model to start from.
    """
    batches = Batches(job.corpus, job.out, recipe)
    torch.manual_seed(job.seed)
    if further or hold or adversarial:
        model = Autoencoder(
            load_model(job.out, "posterior", Posterior, PosteriorConfig),
            load_model(job.out, "decoder", Decoder, DecoderConfig),
        )
        check_sizes(recipe, model.posterior.config, "posterior", "posterior", ("dim", "depth"))
        check_sizes(recipe, model.decoder.config, "decoder", "decoder", _KEPT)
        model = _widened(model, latent_dim or model.decoder.config.latent_dim)
        model.decoder = _refiltered(model.decoder, recipe.decoder)
    else:
        numbers = latent_dim or recipe.posterior.latent_dim
        style_dim = batches.style.config.style_dim
        model = Autoencoder(
            Posterior(replace(recipe.posterior, latent_dim=numbers)),
            Decoder(replace(recipe.decoder, latent_dim=numbers, style_dim=style_dim)),
        )
    made = replace(recipe, posterior=model.posterior.config, decoder=model.decoder.config)
    if hold or adversarial:
        _train_decoder(job, batches, model, adversarial=adversarial)
        return made
    if not job.resume:
        clear_run(job.work / _HELD)  # before the long joint training
    rate = recipe.further_rate if further else recipe.rate
    _train_both(_with_share(job, 1 - recipe.held_share), batches, model, rate)
    _train_decoder(_with_share(job, recipe.held_share), batches, model)
    return made


def _train_both(job: Job, batches: Batches, model: Autoencoder, rate: float) -> None:
    model.requires_grad_(True)
    recipe = batches.recipe
    run = job.run("vocoder", recipe, rate)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = batches.draw(generator)
        mean, log_variance, made, excitation = _reconstruct(model, batch)
        losses = batches.losses(batch, made, excitation, recipe.losses)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        losses["kl"] = kl.mean((0, 1)).clamp_min(recipe.kl.free_nats).mean()
        losses["total"] = losses["total"] + recipe.kl.at(run.progress) * losses["kl"]
        return losses

    train(run, model, draw)
    config = model.posterior.config
    job.save("posterior", model.posterior, config, int8=True)
    job.save("decoder", model.decoder, model.decoder.config)


def _train_decoder(
    job: Job, batches: Batches, model: Autoencoder, adversarial: bool = False
) -> None:
    """Trains the decoder alone; `adversarial`: also against discriminators."""
    recipe = batches.recipe
    name, rate = _HELD, recipe.held_rate
    if adversarial:
        name, rate = _ADVERSARIAL, recipe.adversarial.rate
        model.judges = Discriminators(recipe.adversarial)
    model.decoder.requires_grad_(True)
    model.posterior.requires_grad_(False)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = batches.draw(generator)
        _, _, made, excitation = _reconstruct(model, batch)
        losses = batches.losses(batch, made, excitation, recipe.held_losses)
        if model.judges is not None:
            compared = batches.compared(batch, made)
            losses = _with_adversarial(
                generator, losses, model.judges, *compared, recipe.adversarial
            )
        return losses

    train(job.run(name, recipe, rate), model, draw)
    job.save("decoder", model.decoder, model.decoder.config)


def _with_adversarial(
    generator: np.random.Generator,
    losses: dict[str, Tensor],
    judges: Discriminators,
    made: Tensor,
    wanted: Tensor,
    recipe: AdversarialRecipe,
) -> dict[str, Tensor]:
    """Adds the discriminators' losses on a random stretch. They ask for detail that spectral
    distances average away: fine structure is random, and its mean minimises a distance."""
    length = recipe.frames * FRAME_SAMPLES
    start = int(generator.integers(max(0, made.shape[1] - length) + 1))
    stretch = slice(start, start + length)
    found = judges.losses(made[:, stretch], wanted[:, stretch])
    total = (
        losses["total"]
        + recipe.weight * found["adversarial"]
        + recipe.features * found["features"]
        + found["discriminators"]
    )
    return losses | found | {"total": total}


def _reconstruct(model: Autoencoder, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Excitation]:
    """Mean and log-variance of a batch's latents, and the decoding of a sample, which lacks its
    end: the decoder is late."""
    with torch.no_grad(), torch.autocast(batch.samples.device.type, enabled=False):
        features = model.posterior.features(batch.samples)
    mean, log_variance = model.posterior(features)
    # Scaled noise: recordings are decoded from means, while predictions are never exact.
    share = torch.rand(len(mean), 1, 1, device=mean.device)
    latents = mean + share * (sample(mean, log_variance) - mean)
    made, excitation = model.decoder(latents, batch.style, f0=batch.filled)
    return mean, log_variance, made[:, model.decoder.delay_samples :], excitation


def _with_share(job: Job, share: float) -> Job:
    """The job with a share of its budget."""
    return replace(job, budget=job.budget.times(share, share))


def _with_latents(model: Autoencoder, latent_dim: int) -> Autoencoder:
    """An untrained autoencoder of the same sizes but another latent dimension."""
    return Autoencoder(
        Posterior(replace(model.posterior.config, latent_dim=latent_dim)),
        Decoder(replace(model.decoder.config, latent_dim=latent_dim)),
    )


@torch.no_grad()
def _widened(known: Autoencoder, latent_dim: int) -> Autoencoder:
    """The autoencoder with more latent dimensions: the first are the old ones, and the decoder
    ignores the new ones at first."""
    old = known.decoder.config.latent_dim
    if latent_dim < old:
        raise InputError(f"--latent-dim is {latent_dim}; it cannot be less than the present {old}")
    model = _with_latents(known, latent_dim)
    if copy_what_fits(model, dict(known.named_parameters())):
        project, before = model.posterior.project, known.posterior.project
        project.weight[latent_dim:], project.bias[latent_dim:] = 0.0, _NEW_LOG_VARIANCE
        for mine, theirs in ((project.weight, before.weight), (project.bias, before.bias)):
            for new, was in zip(mine.chunk(2), theirs.chunk(2), strict=True):
                new[:old] = was
        stem = model.decoder.stem.conv
        stem.weight.zero_()[:, :old] = known.decoder.stem.conv.weight
    return model


def _refiltered(known: Decoder, sizes: DecoderConfig) -> Decoder:
    """The decoder with filters of other lengths or numbers, resampled in frequency."""
    config = replace(known.config, window=sizes.window, filters=sizes.filters)
    if config == known.config:
        return known
    made, weights = Decoder(config), known.state_dict()
    nearest = [i * known.config.filters // config.filters for i in range(config.filters)]
    for name in ("filter_head.weight", "filter_head.bias"):
        heads = weights[name].view(known.config.filters, 3, known.num_bins, -1)[nearest]
        heads = heads.permute(0, 1, 3, 2).flatten(0, 1)
        heads = F.interpolate(heads, made.num_bins, mode="linear", align_corners=True)
        heads = heads.unflatten(0, (-1, 3)).transpose(2, 3)
        weights[name] = heads.reshape(-1, *weights[name].shape[1:])
    made.load_state_dict(weights)
    return made
