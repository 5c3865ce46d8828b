"""Recipes: posterior and decoder together, then the decoder further against judges."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_model, save_model
from models.mel import MELS_PER_FRAME
from models.training.adversary import Judges
from models.training.corpus import Corpus
from models.training.crops import another_of_voice, filled_f0, random_crop, stack
from models.training.job import Job
from models.training.loop import device, train
from models.training.losses import SpectralLoss
from models.vocoder.decoder import DELAY_SAMPLES, Decoder, DecoderConfig, Excitation
from models.vocoder.posterior import Posterior, PosteriorConfig, sample
from models.vocoder.style import load_style

BATCH = 10
CROP_FRAMES = 20  # 0.8 s
STYLE_FRAMES = 75  # 3 s
KL_WEIGHT = 0.01
JUDGED = 5  # crops of a batch that the judges hear
ADVERSARIAL_WEIGHT = 0.1
FEATURES_WEIGHT = 0.5
LEVEL_WEIGHT = 0.5


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
    """Draws what both recipes train on."""

    def __init__(self, corpus: Corpus, out: Path) -> None:
        self.corpus = corpus
        self.device = device()
        self.style = load_style(out).to(self.device)
        self.spectral = SpectralLoss().to(self.device)

    def draw(self, generator: np.random.Generator) -> Batch:
        corpus, where = self.corpus, self.device
        indices = generator.integers(len(corpus.utterances), size=BATCH).tolist()
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
        self, batch: Batch, made: Tensor, excitation: Excitation
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The losses of decoding a batch, with their sum as `total`; and the sound `[B, T']` made
        and wanted, in step."""
        # The decoder's output is late; its first hops, made of the silence before the crop, and the
        # sound that it has not finished are left out.
        made = made[:, DELAY_SAMPLES:].float()
        wanted = batch.samples[:, : batch.samples.shape[1] - DELAY_SAMPLES]
        losses = self.spectral(made, wanted)
        voiced = (batch.f0 > 0).float()
        losses["f0"] = (
            (excitation.log_f0 - batch.filled.log()).abs() * (0.02 + voiced)
        ).sum() / voiced.sum().clamp_min(1)
        losses["voicing"] = F.binary_cross_entropy_with_logits(excitation.voicing, voiced)
        losses["total"] = (
            1.5 * losses["mel"] + losses["stft"] + 2.0 * losses["f0"] + 0.1 * losses["voicing"]
        )
        return losses, made, wanted


def train_vocoder(job: Job) -> None:
    """Trains posterior and decoder; writes `posterior.safetensors` and `decoder.safetensors`.

    The style comes from another utterance of the voice. The source is driven by the measured F0
    while the F0 that the decoder predicts is taught beside it.
    """
    batches = Batches(job.corpus, job.out)
    torch.manual_seed(job.seed)
    model = Autoencoder(Posterior(PosteriorConfig()), Decoder(DecoderConfig()))

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = batches.draw(generator)
        mean, log_variance = _latents(model.posterior, batch)
        made, excitation = model.decoder(sample(mean, log_variance), batch.style, f0=batch.filled)
        losses, _, _ = batches.losses(batch, made, excitation)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        losses["kl"] = kl.mean()
        losses["total"] = losses["total"] + KL_WEIGHT * losses["kl"]
        return losses

    train(job.run("vocoder", 1e-3, clip=5.0), model, draw)
    posterior = model.posterior
    save_model(job.out, "posterior", posterior, posterior.config, half=True, int8=True)
    save_model(job.out, "decoder", model.decoder, model.decoder.config, half=True)


class Contest(nn.Module):
    """The decoder and its judges, if it has any, as one model with one optimizer."""

    def __init__(self, decoder: Decoder, judges: Judges | None) -> None:
        super().__init__()
        self.decoder = decoder
        self.judges = judges


def train_decoder(job: Job, judged: bool = True) -> None:
    """Trains the decoder in `out` further and writes `decoder.safetensors`: for the power of each
    band, and with `judged` against judges.

    The posterior stays as it is, and with it the latents: what was trained on them (prior,
    Flow-Omni) fits the new decoder too.

    Raises:
        MissingModelError: posterior or decoder is not in `out`.
    """
    batches = Batches(job.corpus, job.out)
    posterior = load_model(job.out, "posterior", Posterior, PosteriorConfig).to(batches.device)
    decoder = load_model(job.out, "decoder", Decoder, DecoderConfig).requires_grad_(True)
    torch.manual_seed(job.seed)
    judges = Judges() if judged else None
    model = Contest(decoder, judges)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        batch = batches.draw(generator)
        with torch.no_grad():
            latents = sample(*_latents(posterior, batch))
        made, excitation = model.decoder(latents, batch.style, f0=batch.filled)
        losses, made, wanted = batches.losses(batch, made, excitation)
        losses["total"] = losses["total"] + LEVEL_WEIGHT * losses["level"]
        if judges is not None:
            losses |= judges.losses(made[:JUDGED], wanted[:JUDGED])
            losses["total"] = (
                losses["total"]
                + losses["judge"]
                + ADVERSARIAL_WEIGHT * losses["adversarial"]
                + FEATURES_WEIGHT * losses["features"]
            )
        return losses

    # A seed of its own: the vocoder's would draw the crops again that it began with.
    further = dataclasses.replace(job, seed=job.seed + 1)
    run = further.run("decoder", 3e-4, clip=5.0)
    train(run, model, draw)
    save_model(job.out, "decoder", model.decoder, model.decoder.config, half=True)


def _latents(posterior: Posterior, batch: Batch) -> tuple[Tensor, Tensor]:
    with torch.no_grad(), torch.autocast(batch.samples.device.type, enabled=False):
        mel = posterior.features(batch.samples)
    return posterior(mel)


assert CROP_FRAMES * MELS_PER_FRAME * 240 > 4 * DELAY_SAMPLES
