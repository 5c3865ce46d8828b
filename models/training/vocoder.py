"""Recipe: the autoencoder, posterior and decoder together."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.checkpoint import load_config, load_weights, save_model
from models.mel import MELS_PER_FRAME
from models.training.corpus import Corpus
from models.training.crops import another_of_voice, filled_f0, random_crop, stack
from models.training.loop import Budget, Run, device, train
from models.training.losses import SpectralLoss
from models.vocoder.decoder import DELAY_SAMPLES, Decoder, DecoderConfig
from models.vocoder.posterior import Posterior, PosteriorConfig, sample
from models.vocoder.style import StyleConfig, StyleEncoder

BATCH = 10
CROP_FRAMES = 20  # 0.8 s
STYLE_FRAMES = 75  # 3 s
KL_WEIGHT = 0.01


class Autoencoder(nn.Module):
    """Posterior and decoder as one model with one optimizer."""

    def __init__(self, posterior: Posterior, decoder: Decoder) -> None:
        super().__init__()
        self.posterior = posterior
        self.decoder = decoder


def load_style(folder: Path) -> StyleEncoder:
    """The trained style encoder.

    Raises:
        MissingModelError: it is not in `folder`.
    """
    encoder = StyleEncoder(load_config(folder, "style", StyleConfig))
    load_weights(folder, "style", encoder)
    return encoder


def train_vocoder(
    corpus: Corpus, out: Path, work: Path, seed: int, budget: Budget, resume: bool
) -> None:
    """Trains posterior and decoder; writes `posterior.safetensors` and `decoder.safetensors`.

    The style comes from another utterance of the voice. The source is driven by the measured F0
    while the F0 that the decoder predicts is taught beside it.
    """
    style_encoder = load_style(out).to(device())
    torch.manual_seed(seed)
    model = Autoencoder(Posterior(PosteriorConfig()), Decoder(DecoderConfig()))
    spectral = SpectralLoss().to(device())
    where = device()

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        indices = generator.integers(len(corpus.utterances), size=BATCH).tolist()
        crops = [random_crop(generator, corpus.utterances[i], CROP_FRAMES) for i in indices]
        references = [
            random_crop(generator, another_of_voice(generator, corpus, i), STYLE_FRAMES)
            for i in indices
        ]
        samples = stack(crops).to(where)
        f0 = torch.from_numpy(np.stack([crop.f0 for crop in crops])).to(where)
        filled = torch.from_numpy(np.stack([filled_f0(crop.f0) for crop in crops])).to(where)
        with torch.no_grad():
            style = style_encoder.encode(stack(references).to(where)).clone()
            with torch.autocast(where.type, enabled=False):
                mel = model.posterior.features(samples)
        mean, log_variance = model.posterior(mel)
        latents = sample(mean, log_variance)
        made, excitation = model.decoder(latents, style, f0=filled)
        # The decoder's output is late; its first hops, made of the silence before the crop, and the
        # sound that it has not finished are left out.
        losses = spectral(
            made[:, DELAY_SAMPLES:].float(), samples[:, : samples.shape[1] - DELAY_SAMPLES]
        )
        voiced = (f0 > 0).float()
        losses["f0"] = (
            (excitation.log_f0 - filled.log()).abs() * (0.02 + voiced)
        ).sum() / voiced.sum().clamp_min(1)
        losses["voicing"] = F.binary_cross_entropy_with_logits(excitation.voicing, voiced)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        losses["kl"] = kl.mean()
        losses["total"] = (
            1.5 * losses["mel"]
            + losses["stft"]
            + 2.0 * losses["f0"]
            + 0.1 * losses["voicing"]
            + KL_WEIGHT * losses["kl"]
        )
        return losses

    train(Run(work / "vocoder", seed, budget, 1e-3, clip=5.0, resume=resume), model, draw)
    save_model(out, "posterior", model.posterior, model.posterior.config, half=True)
    save_model(out, "decoder", model.decoder, model.decoder.config, half=True)


assert CROP_FRAMES * MELS_PER_FRAME * 240 > 4 * DELAY_SAMPLES
