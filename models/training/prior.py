"""Recipe: the prior flow, on the latents of the trained autoencoder."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.checkpoint import load_config, load_weights, save_model
from models.mel import FRAME_SAMPLES
from models.predictors.units import neighbours
from models.text import SYMBOLS
from models.training.corpus import Corpus
from models.training.crops import Crop, stack
from models.training.encoded import encode_corpus, load_tokenizer
from models.training.loop import Budget, Run, device, train
from models.vocoder.posterior import Posterior, PosteriorConfig, sample
from models.vocoder.prior import Prior, PriorConfig

BATCH = 16
CROP_FRAMES = 64


def train_prior(
    root: Path, corpus: Corpus, out: Path, work: Path, seed: int, budget: Budget, resume: bool
) -> None:
    """Trains the prior by maximum likelihood and writes `prior.safetensors`.

    Targets are samples of the posterior, not its mean. The style is another utterance's.
    """
    posterior = Posterior(load_config(out, "posterior", PosteriorConfig))
    load_weights(out, "posterior", posterior)
    where = device()
    posterior.to(where)
    encoded = encode_corpus(root, corpus, out)
    levels = load_tokenizer(out).config.levels
    torch.manual_seed(seed)
    config = PriorConfig(num_symbols=len(SYMBOLS), levels=levels)
    model = Prior(config)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        codes = torch.zeros(BATCH, CROP_FRAMES, dtype=torch.long)
        phones = torch.zeros(BATCH, CROP_FRAMES, 3, dtype=torch.long)
        valid = torch.zeros(BATCH, CROP_FRAMES)
        crops, styles = [], []
        for row, index in enumerate(generator.integers(len(encoded), size=BATCH).tolist()):
            utterance = corpus.utterances[index]
            # Speech begins at its beginning, so some crops must.
            room = max(0, utterance.num_frames - CROP_FRAMES)
            start = 0 if generator.random() < 0.2 else int(generator.integers(room + 1))
            crops.append(Crop(utterance, start, CROP_FRAMES))
            piece = slice(start, start + CROP_FRAMES)
            pointer = torch.from_numpy(encoded[index].pointer[piece].astype(np.int64))
            length = len(pointer)
            codes[row, :length] = torch.from_numpy(encoded[index].codes[piece].astype(np.int64))
            phones[row, :length] = neighbours(torch.tensor(utterance.units.symbols), pointer)
            valid[row, :length] = 1
            same = corpus.by_voice[utterance.voice]
            styles.append(encoded[same[int(generator.integers(len(same)))]].style)
        style = torch.from_numpy(np.stack(styles)).float().to(where)
        samples = stack(crops).to(where)
        with torch.no_grad():
            mean, log_variance = posterior(posterior.features(samples))
        latents = sample(mean, log_variance)
        log_prob = model.log_prob(latents, codes.to(where), phones.to(where), style)
        mask = valid.to(where)
        loss = -(log_prob * mask).sum() / mask.sum() / config.latent_dim
        return {"total": loss}

    train(Run(work / "prior", seed, budget, 1e-3, resume=resume), model, draw)
    save_model(out, "prior", model, config, half=True)


assert FRAME_SAMPLES == 960
