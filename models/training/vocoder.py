"""Recipe: posterior and decoder, the autoencoder whose latents all predictors speak in."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.errors import InputError
from models.checkpoint import load_model
from models.mel import FRAME_SAMPLES
from models.training.corpus import Corpus
from models.training.crops import another_of_voice, filled_f0, random_crop, stack
from models.training.job import Job
from models.training.loop import device, forget, train
from models.training.losses import SpectralLoss
from models.training.warm_start import copy_what_fits
from models.vocoder.decoder import DELAY_SAMPLES, Decoder, DecoderConfig, Excitation
from models.vocoder.posterior import Posterior, PosteriorConfig, sample
from models.vocoder.style import load_style

BATCH = 5
CROP_FRAMES = 48  # 1.9 s
LEAD_FRAMES = 8  # of a crop, which are not judged: what came before them is missing
STYLE_FRAMES = 75  # 3 s
# Numbers open while telling costs little, and what is not worth its cost is left out after that: a
# predictor has to draw, and codes have to hold, whatever is told.
FIRST_KL_WEIGHT, KL_WEIGHT = 0.0005, 0.02
RISING = (0.6, 0.8)  # of the run: when the weight goes from one to the other
FREE_NATS = 0.5  # a number that says less is not pushed further (free bits, arXiv 1606.04934, C.8)
# Words are in the envelope, and what latents tell is chosen by it; how clean a voice sounds is not.
WEIGHTS = {"mel": 1, "envelope": 1, "cepstrum": 1.5, "stft": 0.3, "f0": 2, "voicing": 0.1}
HELD_SHARE = 0.4  # of the time: the decoder alone
HELD_WEIGHTS = {"mel": 1.5, "cepstrum": 0.2, "stft": 1, "f0": 2, "voicing": 0.1}
_HELD = "vocoder-held"  # the run of the decoder alone
_NEW_LOG_VARIANCE = -4.0  # of numbers that are added: heard well enough to be learnt from


class Autoencoder(nn.Module):
    """Posterior and decoder as one model with one optimizer."""

    def __init__(self, posterior: Posterior, decoder: Decoder) -> None:
        super().__init__()
        self.posterior = posterior
        self.decoder = decoder


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

    def __init__(self, corpus: Corpus, out: Path) -> None:
        self.corpus = corpus
        lengths = [utterance.num_frames for utterance in corpus.utterances]
        # A shorter one is padded with perfect silence, which no recording has: learning to make it
        # would outweigh all else.
        long = [i for i, length in enumerate(lengths) if length >= CROP_FRAMES]
        self.indices = np.array(long or range(len(lengths)))
        self.device = device()
        self.style = load_style(out).to(self.device)
        self.spectral = SpectralLoss().to(self.device)

    def draw(self, generator: np.random.Generator) -> Batch:
        corpus, where = self.corpus, self.device
        indices = generator.choice(self.indices, BATCH).tolist()
        crops = [random_crop(generator, corpus.utterances[i], CROP_FRAMES) for i in indices]
        references = [
            random_crop(generator, another_of_voice(generator, corpus, i), STYLE_FRAMES)
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
        self, batch: Batch, made: Tensor, excitation: Excitation, weights: dict[str, float]
    ) -> dict[str, Tensor]:
        """The losses of decoding a batch, with their sum, each times its weight, as `total`."""
        # The decoder's output is late, so what it has not finished is left out too.
        lead = LEAD_FRAMES * FRAME_SAMPLES
        made = made[:, lead + DELAY_SAMPLES :].float()
        wanted = batch.samples[:, lead : batch.samples.shape[1] - DELAY_SAMPLES]
        with torch.autocast(made.device.type, enabled=False):
            losses = self.spectral(made, wanted)
        voiced = (batch.f0 > 0).float()
        losses["f0"] = (
            (excitation.log_f0 - batch.filled.log()).abs() * (0.02 + voiced)
        ).sum() / voiced.sum().clamp_min(1)
        losses["voicing"] = F.binary_cross_entropy_with_logits(excitation.voicing, voiced)
        losses["total"] = sum(weight * losses[name] for name, weight in weights.items())
        return losses


def train_vocoder(
    job: Job, further: bool = False, latent_dim: int | None = None, hold: bool = False
) -> None:
    """Trains posterior and decoder, and then the decoder alone on what the posterior has come to;
    writes `posterior.safetensors` and `decoder.safetensors`. With `further` it begins with those in
    `out`. Its latents are others than before: whatever was trained on them is to be trained again,
    or further. With `hold` latents stay as they are: the decoder in `out` alone goes on.

    The style comes from another utterance of the voice. The source is driven by the measured F0
    while the F0 that the decoder predicts is taught beside it.

    Args:
        job: what is trained on.
        further: go on with what is in `out`.
        latent_dim: how many numbers a latent has; with `further` no fewer than there are.
        hold: go on with the decoder in `out`.

    Raises:
        InputError: `further` with fewer numbers than there are.
        MissingModelError: the style encoder, or what to begin with, is not in `out`.
    """
    batches = Batches(job.corpus, job.out)
    torch.manual_seed(job.seed)
    if further or hold:
        model = Autoencoder(
            load_model(job.out, "posterior", Posterior, PosteriorConfig),
            load_model(job.out, "decoder", Decoder, DecoderConfig),
        )
        model = _wider(model, latent_dim or model.decoder.config.latent_dim)
    else:
        model = Autoencoder(Posterior(PosteriorConfig()), Decoder(DecoderConfig()))
        if latent_dim is not None:
            model = _with_latents(model, latent_dim)
    if hold:
        _train_decoder(job, batches, model)
        return
    if not job.resume:
        forget(job.work / _HELD)  # before the hours that the first part takes
    _train_both(_part(job, 1 - HELD_SHARE), batches, model, 8e-4 if further else 1e-3)
    _train_decoder(_part(job, HELD_SHARE), batches, model)


def _train_both(job: Job, batches: Batches, model: Autoencoder, rate: float) -> None:
    model.requires_grad_(True)
    run = job.run("vocoder", rate, clip=5.0)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = batches.draw(generator)
        mean, log_variance, made, excitation = _copied(model, batch)
        losses = batches.losses(batch, made, excitation, WEIGHTS)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        losses["kl"] = kl.mean((0, 1)).clamp_min(FREE_NATS).mean()
        losses["total"] = losses["total"] + _kl_weight(run.progress) * losses["kl"]
        return losses

    train(run, model, draw)
    config = model.posterior.config
    job.save("posterior", model.posterior, config, int8=True)
    job.save("decoder", model.decoder, model.decoder.config)


def _train_decoder(job: Job, batches: Batches, model: Autoencoder) -> None:
    model.decoder.requires_grad_(True)
    model.posterior.requires_grad_(False)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = batches.draw(generator)
        _, _, made, excitation = _copied(model, batch)
        return batches.losses(batch, made, excitation, HELD_WEIGHTS)

    train(job.run(_HELD, 8e-4, clip=5.0), model, draw)
    job.save("decoder", model.decoder, model.decoder.config)


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


def _kl_weight(progress: float) -> float:
    begin, end = RISING
    risen = min(1.0, max(0.0, (progress - begin) / (end - begin)))
    return FIRST_KL_WEIGHT * (KL_WEIGHT / FIRST_KL_WEIGHT) ** risen


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
