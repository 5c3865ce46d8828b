"""Recipes: the codebooks of the acoustic tokenizer, on the latents of the trained autoencoder, or
those of EnCodec."""

import json
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.errors import InputError
from models.checkpoint import save_model
from models.tokenizers.acoustic import AcousticConfig, AcousticTokenizer, nearest
from models.training.encoded import Latents, encode_latents
from models.training.job import Job
from models.training.loop import device
from models.vocoder import encodec
from models.vocoder.encodec import EncodecConfig, read_encodec

logger = logging.getLogger(__name__)

_POINTS = 200_000  # frames that the codebooks are fitted to
_ROUNDS = 30
_CHUNK = 1024  # distances of a chunk stay in the cache


def train_acoustic(job: Job) -> None:
    """Fits the codebooks and writes `acoustic.safetensors`.

    The latents stay as they are, so each level is k-means on what the levels before it leave
    (Lloyd's algorithm, which an exponential moving average only imitates); a code that a round
    leaves without points begins anew at a random one. Needs a minute or two, whatever `--steps`.

    Raises:
        InputError: there are fewer frames than codes.
    """
    points, scale = _drawn(encode_latents(job.data, job.corpus, job.out), job.seed)
    model = AcousticTokenizer(AcousticConfig(latent_dim=len(scale)))
    if len(points) < model.config.num_codes:
        raise InputError(
            f"the data hold {len(points)} frames of 40 ms; {model.config.num_codes} codes need as "
            "many at least: give more data"
        )
    model.scale.copy_(scale)
    generator = torch.Generator().manual_seed(job.seed)
    rest = (points / scale).to(device())
    rows = []
    for level in range(model.config.num_levels):
        before = rest.square().mean()
        codebook = _clustered(rest, model.config.num_codes, generator)
        codes = _assigned(rest, codebook)
        rest = rest - codebook[codes]
        model.codebooks[level].copy_(codebook)
        used = len(codes.unique()) / len(codebook)
        gain_db = float(10 * (before / rest.square().mean()).log10())
        rows.append({"level": level + 1, "used": round(used, 4), "gain_db": round(gain_db, 2)})
        logger.info("acoustic level %d: %.1f %% used, %.2f dB", level + 1, 100 * used, gain_db)
    folder = job.work / "acoustic"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_model(job.out, "acoustic", model, model.config, half=True)


def adopt_encodec(out: Path, weights: Path, config: EncodecConfig) -> None:
    """Makes `out` a folder whose models speak through EnCodec; writes `encodec.safetensors` and, of
    its codebooks, `acoustic.safetensors`.

    A frame of ours is three of EnCodec's steps. Their codes are the levels of one acoustic
    tokenizer, the coarse ones of all three steps before the finer ones: each codebook is nothing
    but at its own step's place, so the nearest vector there is the code that EnCodec finds.

    Args:
        out: the folder; what is trained on other latents cannot be in it.
        weights: of EnCodec 24 kHz.
        config: at which bitrate.

    Raises:
        InputError: the weights cannot be read, or `out` has latents of its own.
    """
    if (out / "posterior.safetensors").exists():
        raise InputError(
            f"the models in {out} speak in latents of their own: give EnCodec an --out of its own, "
            "with the style encoder and the semantic tokenizer of that folder copied into it"
        )
    model = read_encodec(weights)
    layers = model.quantizer.vq.layers[: config.num_levels]
    books = torch.stack([layer._codebook.embed for layer in layers])
    num_levels, num_codes, size = books.shape
    sizes = AcousticConfig(config.latent_dim, num_levels * encodec.STEPS, num_codes)
    acoustic = AcousticTokenizer(sizes)
    for step in range(encodec.STEPS):
        place = slice(step * size, (step + 1) * size)
        acoustic.codebooks[step :: encodec.STEPS, :, place] = books
    save_model(out, encodec.FILE, model, config, half=False)
    save_model(out, "acoustic", acoustic, sizes, half=False)


def _drawn(latents: list[Latents], seed: int) -> tuple[Tensor, Tensor]:
    """Means `[N, latent_dim]` of random utterances, and the posterior's mean deviation."""
    order = np.random.default_rng(seed).permutation(len(latents))
    means, deviations, count = [], [], 0
    for index in order.tolist():
        means.append(np.array(latents[index].mean, np.float32))
        deviations.append(np.array(latents[index].std, np.float32))
        count += len(means[-1])
        if count >= _POINTS:
            break
    scale = torch.from_numpy(np.concatenate(deviations).mean(0))
    return torch.from_numpy(np.concatenate(means)), scale


def _clustered(points: Tensor, num: int, generator: torch.Generator) -> Tensor:
    """k-means: `num` centres `[num, D]` of `points` `[N, D]`."""
    chosen = torch.randperm(len(points), generator=generator)[:num].to(points.device)
    centres = points[chosen].clone()
    for _ in range(_ROUNDS):
        codes = _assigned(points, centres)
        counts = torch.bincount(codes, minlength=num)
        sums = torch.zeros_like(centres).index_add_(0, codes, points)
        centres = sums / counts.clamp_min(1)[:, None]
        dead = (counts == 0).nonzero()[:, 0]
        anew = torch.randint(len(points), (len(dead),), generator=generator)
        centres[dead] = points[anew.to(points.device)]
    return centres


def _assigned(points: Tensor, centres: Tensor) -> Tensor:
    return torch.cat([nearest(chunk, centres) for chunk in points.split(_CHUNK)])
