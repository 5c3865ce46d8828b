"""Recipe: posterior and decoder, the autoencoder whose latents all predictors speak in."""

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
from models.training.crops import another_of_voice, filled_f0, random_crop, stack
from models.training.job import Job
from models.training.loop import device, forget, train
from models.training.losses import SpectralLoss, weighted
from models.training.warm_start import copy_what_fits
from models.vocoder.decoder import DELAY_SAMPLES, Decoder, DecoderConfig, Excitation
from models.vocoder.posterior import Posterior, PosteriorConfig, sample
from models.vocoder.style import load_style

_HELD = "vocoder-held"  # the run of the decoder alone
_JUDGED = "vocoder-adversarial"
_NEW_LOG_VARIANCE = -4.0  # of numbers that are added: heard well enough to be learnt from


@dataclass(frozen=True)
class VocoderWeights:
    """Weights of the losses of posterior and decoder.

    Words are in the envelope, and what latents tell is chosen by it; how clean a voice sounds is
    not.
    """

    mel: float = setting(1.0, "of the log-mel distance")
    envelope: float = setting(1.0, "of the power of areas of the mel spectrogram")
    cepstrum: float = setting(1.5, "of the distance of mel cepstra")
    stft: float = setting(0.3, "of the multi-resolution STFT loss")
    f0: float = setting(2.0, "of the predicted log-F0")
    voicing: float = setting(0.1, "of the predicted voicing")


@dataclass(frozen=True)
class HeldWeights:
    """Weights of the losses of the decoder alone."""

    mel: float = setting(1.5, "of the log-mel distance")
    cepstrum: float = setting(0.2, "of the distance of mel cepstra")
    stft: float = setting(1.0, "of the multi-resolution STFT loss")
    f0: float = setting(2.0, "of the predicted log-F0")
    voicing: float = setting(0.1, "of the predicted voicing")


@dataclass(frozen=True)
class KLRecipe:
    """The weight of the KL divergence.

    Numbers of a latent open while telling costs little, and what is not worth its cost is left out
    after that: a predictor has to draw, and codes have to hold, whatever is told.
    """

    first: float = setting(0.0005, "weight at the beginning of the run")
    last: float = setting(0.02, "weight at its end")
    rise_from: float = setting(0.6, "share of the run at which it begins to rise", high=1)
    rise_to: float = setting(0.8, "share of the run at which it has risen", high=1)
    # Free bits, arXiv 1606.04934, C.8.
    free_nats: float = setting(0.5, "nats; a number that says less is not pushed further")

    def at(self, progress: float) -> float:
        """The weight when `progress`, 0 to 1, of the run is over."""
        span = max(self.rise_to - self.rise_from, 1e-9)
        risen = min(1.0, max(0.0, (progress - self.rise_from) / span))
        return self.first * (self.last / self.first) ** risen


@dataclass(frozen=True)
class VocoderRecipe(Recipe):
    """How posterior and decoder are trained; `held_...` is for the decoder alone."""

    derived = ("decoder.latent_dim", "decoder.style_dim")

    steps: int = setting(12_000, "optimiser steps, unless --minutes is given")
    further_rate: float = setting(8e-4, "highest learning rate with --further")
    clip: float = setting(5.0, "largest norm of a gradient")
    batch: int = setting(5, "crops a step")
    crop_frames: int = setting(48, "frames of 40 ms in a crop")
    # What came before the first frames is missing, so they are not judged.
    lead_frames: int = setting(8, "frames of a crop that are not judged", low=0)
    style_frames: int = setting(75, "frames of the sound that tells the voice")
    losses: VocoderWeights = field(default_factory=VocoderWeights)
    kl: KLRecipe = field(default_factory=KLRecipe)
    held_share: float = setting(0.4, "share of the time for the decoder alone", high=1)
    held_rate: float = setting(8e-4, "highest learning rate of the decoder alone")
    held_losses: HeldWeights = field(default_factory=HeldWeights)
    adversarial: AdversarialRecipe = field(default_factory=AdversarialRecipe)
    posterior: PosteriorConfig = field(default_factory=PosteriorConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)


class Autoencoder(nn.Module):
    """Posterior and decoder as one model with one optimizer, and what judges them, if anything."""

    def __init__(
        self, posterior: Posterior, decoder: Decoder, judges: Discriminators | None = None
    ) -> None:
        super().__init__()
        self.posterior = posterior
        self.decoder = decoder
        self.judges = judges


@dataclass
class Batch:
    """Crops `[B, T]`, the style of another utterance of each voice `[B, style_dim]`, and F0 at
    100 Hz, as measured (0: unvoiced) and bridged, in Hz."""

    samples: Tensor
    style: Tensor
    f0: Tensor
    filled: Tensor


class Batches:
    """Draws what the recipe trains on."""

    def __init__(self, corpus: Corpus, out: Path, recipe: VocoderRecipe) -> None:
        self.corpus, self.recipe = corpus, recipe
        lengths = [utterance.num_frames for utterance in corpus.utterances]
        # A shorter one is padded with perfect silence, which no recording has: learning to make it
        # would outweigh all else.
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
            torch.from_numpy(np.stack([filled_f0(crop.f0) for crop in crops])).to(where),
        )

    def losses(
        self, batch: Batch, made: Tensor, excitation: Excitation, weights: object
    ) -> dict[str, Tensor]:
        """The losses of decoding a batch, with their sum, each times its weight, as `total`."""
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
        """What was decoded and what it should be, `[B, T]`, where both are known."""
        # The decoder's output is late, so what it has not finished is left out too.
        lead = self.recipe.lead_frames * FRAME_SAMPLES
        wanted = batch.samples[:, lead : batch.samples.shape[1] - DELAY_SAMPLES]
        return made[:, lead + DELAY_SAMPLES :].float(), wanted


def train_vocoder(
    job: Job,
    recipe: VocoderRecipe,
    further: bool = False,
    latent_dim: int | None = None,
    hold: bool = False,
    adversarial: bool = False,
) -> VocoderRecipe:
    """Trains posterior and decoder, and then the decoder alone on what the posterior has come to;
    writes `posterior.safetensors` and `decoder.safetensors`. With `further` it begins with those in
    `out`. Its latents are others than before: whatever was trained on them is to be trained again,
    or further. With `hold` latents stay as they are: the decoder in `out` alone goes on; with
    `adversarial` it does so against discriminators. Returns what was made.

    The style comes from another utterance of the voice. The source is driven by the measured F0
    while the F0 that the decoder predicts is taught beside it.

    Args:
        job: arguments shared by all recipes.
        recipe: sizes and how they are trained.
        further: go on with what is in `out`.
        latent_dim: how many numbers a latent has, if not as `recipe` says, or with `further` as
            many as there are, of which it can have no fewer.
        hold: go on with the decoder in `out`.
        adversarial: go on with it, and let discriminators judge it.

    Long because it reads top to bottom, as the recipe does.

    Raises:
        InputError: `further` with fewer numbers than there are.
        MissingModelError: the style encoder, or what to begin with, is not in `out`.
    """
    batches = Batches(job.corpus, job.out, recipe)
    torch.manual_seed(job.seed)
    if further or hold or adversarial:
        model = Autoencoder(
            load_model(job.out, "posterior", Posterior, PosteriorConfig),
            load_model(job.out, "decoder", Decoder, DecoderConfig),
        )
        check_sizes(recipe, model.posterior.config, "posterior", "posterior", ("dim", "depth"))
        check_sizes(recipe, model.decoder.config, "decoder", "decoder")
        model = _wider(model, latent_dim or model.decoder.config.latent_dim)
    else:
        numbers = latent_dim or recipe.posterior.latent_dim
        style_dim = batches.style.config.style_dim
        model = Autoencoder(
            Posterior(replace(recipe.posterior, latent_dim=numbers)),
            Decoder(replace(recipe.decoder, latent_dim=numbers, style_dim=style_dim)),
        )
    made = replace(recipe, posterior=model.posterior.config, decoder=model.decoder.config)
    if hold or adversarial:
        _train_decoder(job, batches, model, judged=adversarial)
        return made
    if not job.resume:
        forget(job.work / _HELD)  # before the hours that the first part takes
    rate = recipe.further_rate if further else recipe.rate
    _train_both(_part(job, 1 - recipe.held_share), batches, model, rate)
    _train_decoder(_part(job, recipe.held_share), batches, model)
    return made


def _train_both(job: Job, batches: Batches, model: Autoencoder, rate: float) -> None:
    model.requires_grad_(True)
    recipe = batches.recipe
    run = job.run("vocoder", recipe, rate)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = batches.draw(generator)
        mean, log_variance, made, excitation = _copied(model, batch)
        losses = batches.losses(batch, made, excitation, recipe.losses)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        losses["kl"] = kl.mean((0, 1)).clamp_min(recipe.kl.free_nats).mean()
        losses["total"] = losses["total"] + recipe.kl.at(run.progress) * losses["kl"]
        return losses

    train(run, model, draw)
    config = model.posterior.config
    job.save("posterior", model.posterior, config, int8=True)
    job.save("decoder", model.decoder, model.decoder.config)


def _train_decoder(job: Job, batches: Batches, model: Autoencoder, judged: bool = False) -> None:
    """The decoder alone; `judged`: against discriminators too."""
    recipe = batches.recipe
    name, rate = _HELD, recipe.held_rate
    if judged:
        name, rate = _JUDGED, recipe.adversarial.rate
        model.judges = Discriminators(recipe.adversarial)
    model.decoder.requires_grad_(True)
    model.posterior.requires_grad_(False)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = batches.draw(generator)
        _, _, made, excitation = _copied(model, batch)
        losses = batches.losses(batch, made, excitation, recipe.held_losses)
        if model.judges is not None:
            compared = batches.compared(batch, made)
            losses = _judged(generator, losses, model.judges, *compared, recipe.adversarial)
        return losses

    train(job.run(name, recipe, rate), model, draw)
    job.save("decoder", model.decoder, model.decoder.config)


def _judged(
    generator: np.random.Generator,
    losses: dict[str, Tensor],
    judges: Discriminators,
    made: Tensor,
    wanted: Tensor,
    recipe: AdversarialRecipe,
) -> dict[str, Tensor]:
    """`losses` with those of the judges of a random stretch. They ask for detail, which no distance
    between spectra does: the finest parts of a sound are chance, and a distance likes their mean
    best."""
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


def _copied(model: Autoencoder, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Excitation]:
    """Mean and logarithm of the variance of a batch's latents, and what is decoded from a draw."""
    with torch.no_grad(), torch.autocast(batch.samples.device.type, enabled=False):
        features = model.posterior.features(batch.samples)
    mean, log_variance = model.posterior(features)
    # Recordings are decoded from means, and what a predictor says is never quite one.
    share = torch.rand(len(mean), 1, 1, device=mean.device)
    latents = mean + share * (sample(mean, log_variance) - mean)
    made, excitation = model.decoder(latents, batch.style, f0=batch.filled)
    return mean, log_variance, made, excitation


def _part(job: Job, share: float) -> Job:
    """The same with a share of its time."""
    return replace(job, budget=job.budget.times(share, share))


def _with_latents(model: Autoencoder, latent_dim: int) -> Autoencoder:
    """One of the same sizes but for the latents, not trained."""
    return Autoencoder(
        Posterior(replace(model.posterior.config, latent_dim=latent_dim)),
        Decoder(replace(model.decoder.config, latent_dim=latent_dim)),
    )


@torch.no_grad()
def _wider(known: Autoencoder, latent_dim: int) -> Autoencoder:
    """The same autoencoder with `latent_dim` numbers in a latent: the first are those that there
    were, and of the others the decoder hears nothing yet."""
    old = known.decoder.config.latent_dim
    if latent_dim < old:
        raise InputError(f"--latent-dim is {latent_dim}; the latents to go on with have {old}")
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
