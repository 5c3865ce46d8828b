"""Recipe: the Flow-Omni predictor, on dialogues and the latents of the trained autoencoder."""

import numpy as np
import torch
from torch import Tensor

from models.checkpoint import save_model
from models.predictors.flow_omni import FlowOmni, FlowOmniConfig
from models.training.dialogues import Dialogues
from models.training.encoded import Latents, encode_corpus, encode_latents, load_tokenizer
from models.training.job import Job
from models.training.loop import train
from models.training.warm_start import start_from

_MEASURED_UTTERANCES = 500


def train_flow_omni(job: Job, warm: bool = True) -> None:
    """Trains the predictor and writes `flow-omni.safetensors`.

    With `warm` it begins with the weights of the GPT-Talker in `out`, where there is one.

    Rows as GPT-Talker's; the frames are draws from the posterior, not its mean (SALAD, arXiv
    2410.16048: the mean is too easy to follow), but where the posterior is as wide as its prior.
    """
    latents = encode_latents(job.data, job.corpus, job.out)
    encoded = encode_corpus(job.data, job.corpus, job.out)
    start = start_from(job.out, warm, 1e-3)
    dialogues = Dialogues(
        job.corpus,
        encoded,
        load_tokenizer(job.out),
        lambda i: latents[i].sample_of_heard(),
        start.num_positions,
    )
    torch.manual_seed(job.seed)
    config = FlowOmniConfig(**start.sizes(dialogues), latent_dim=latents[0].mean.shape[1])
    model = FlowOmni(config)
    start.fill(model)
    mean, std = _statistics(latents, job.seed)
    model.latent_mean.copy_(mean)
    model.latent_std.copy_(std)

    def draw(generator: np.random.Generator) -> dict[str, Tensor]:
        embedded, positions, frames = model.read(dialogues.draw(generator, config))
        assert frames is not None
        losses = model.losses(model(embedded), positions, frames)
        return {"total": losses.total, **vars(losses)}

    run = job.run("flow-omni", start.rate, weight_decay=0.05)
    train(run, model, draw)
    # The flow adds noise of its own: a two-hundredth of a weight is not heard.
    save_model(job.out, "flow-omni", model, config, half=True, int8=True)


def _statistics(latents: list[Latents], seed: int) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng(seed)
    count = min(_MEASURED_UTTERANCES, len(latents))
    chosen = generator.choice(len(latents), count, replace=False)
    drawn = torch.cat([latents[int(index)].sample() for index in chosen])
    return drawn.mean(0), drawn.std(0)
