"""Recipes: the acoustic tokenizer's codebooks, fitted to the autoencoder's latents or taken from
EnCodec."""

import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.errors import InputError
from data.files import atomic_write
from models.checkpoint import save_model
from models.tokenizers.acoustic import AcousticConfig, AcousticTokenizer, load_acoustic, nearest
from models.training.configuration import setting
from models.training.encoded import LatentPosterior, encode_latents, encode_utterances
from models.training.job import Job
from models.training.loop import device
from models.vocoder import encodec
from models.vocoder.codec import load_codec
from models.vocoder.encodec import EncodecConfig, read_encodec

logger = logging.getLogger(__name__)

_CHUNK = 1024  # frames per distance matrix, so that it fits the CPU cache


@dataclass(frozen=True)
class AcousticRecipe:
    """Settings of fitting the codebooks."""

    derived = ("model.latent_dim",)

    points: int = setting(200_000, "frames that the codebooks are fitted to")
    rounds: int = setting(30, "rounds of k-means for each level")
    model: AcousticConfig = field(default_factory=AcousticConfig)


def train_acoustic(job: Job, recipe: AcousticRecipe, like: Path | None = None) -> AcousticRecipe:
    """Fits the codebooks and writes `acoustic.safetensors`; returns the recipe as made.

    The latents are fixed, so each level is k-means (Lloyd's algorithm, which an exponential moving
    average only approximates) on the residual of the levels before it. Empty clusters restart from
    random points. Takes a minute or two.

    `like` is a folder with another latent space and its codebooks: each first-level code starts
    from the mean of the frames that have this code there. Codes keep their meaning as far as
    possible, so that HAM-TTS can be fine-tuned.

    Long because it reads top to bottom, as the recipe does.

    Raises:
        InputError: fewer frames than codes, or fewer codes than in `like`.
        MissingModelError: `like` lacks the posterior or the codebooks.
    """
    latents = encode_latents(job.data, job.corpus, job.out)
    chosen = _drawn(latents, recipe.points, job.seed)
    means = [np.array(latents[index].mean, np.float32) for index in chosen]
    points = torch.from_numpy(np.concatenate(means))
    deviations = [np.array(latents[index].std, np.float32) for index in chosen]
    scale = torch.from_numpy(np.concatenate(deviations).mean(0))
    model = AcousticTokenizer(replace(recipe.model, latent_dim=len(scale)))
    if len(points) < model.config.num_codes:
        raise InputError(
            f"the data hold {len(points)} frames of 40 ms; {model.config.num_codes} codes need as "
            "many at least: give more data"
        )
    model.scale.copy_(scale)
    generator = torch.Generator().manual_seed(job.seed)
    rest = (points / scale).to(device())
    known = None if like is None else _first_codes(like, job, chosen)
    rows = []
    for level in range(model.config.num_levels):
        before = rest.square().mean()
        begin = rest[torch.randperm(len(rest), generator=generator)[: model.config.num_codes]]
        if level == 0 and known is not None:
            begin = _middles(rest, known, begin)
        codebook = _clustered(rest, begin, recipe.rounds, generator)
        codes = _assigned(rest, codebook)
        if level == 0 and known is not None:
            kept = float((codes == known).float().mean())
            logger.info("%.0f %% of the frames keep their first code", 100 * kept)
        rest = rest - codebook[codes]
        model.codebooks[level].copy_(codebook)
        used = len(codes.unique()) / len(codebook)
        gain_db = float(10 * (before / rest.square().mean()).log10())
        rows.append({"level": level + 1, "used": round(used, 4), "gain_db": round(gain_db, 2)})
        logger.info("acoustic level %d: %.1f %% used, %.2f dB", level + 1, 100 * used, gain_db)
    folder = job.work / "acoustic"
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    job.save("acoustic", model, model.config)
    return replace(recipe, model=model.config)


def adopt_encodec(out: Path, weights: Path, config: EncodecConfig) -> AcousticConfig:
    """Makes `out` a folder whose models use EnCodec: writes `encodec.safetensors` and its codebooks
    as `acoustic.safetensors`; returns the sizes of the latter.

    One frame is three EnCodec steps. Their codes become the levels of one acoustic tokenizer,
    coarse levels of all three steps first. A codebook is zero outside its own step's dimensions, so
    the nearest vector is the code that EnCodec itself would choose.

    Args:
        out: the folder, without models of another latent space.
        weights: weights of EnCodec 24 kHz.
        config: the bitrate.

    Raises:
        InputError: the weights cannot be read, or `out` has a latent space of its own.
    """
    if (out / "posterior.safetensors").exists():
        raise InputError(
            f"the models in {out} have their own latent space; give EnCodec a separate --out, with "
            "that folder's style encoder and semantic tokenizer copied into it"
        )
    model = read_encodec(weights)
    layers: Any = model.quantizer.vq.layers[: config.num_levels]
    books = torch.stack([layer._codebook.embed for layer in layers])
    num_levels, num_codes, size = books.shape
    sizes = AcousticConfig(config.latent_dim, num_levels * encodec.STEPS, num_codes)
    acoustic = AcousticTokenizer(sizes)
    for step in range(encodec.STEPS):
        place = slice(step * size, (step + 1) * size)
        acoustic.codebooks[step :: encodec.STEPS, :, place] = books
    save_model(out, encodec.FILE, model, config, half=False)
    save_model(out, "acoustic", acoustic, sizes, half=False)
    return sizes


def _drawn(latents: list[LatentPosterior], points: int, seed: int) -> list[int]:
    """Random utterances with at least `points` frames in total, if there are enough."""
    order = np.random.default_rng(seed).permutation(len(latents))
    ends = np.cumsum([len(latents[index].mean) for index in order])
    return order[: int(np.searchsorted(ends, points)) + 1].tolist()


def _first_codes(folder: Path, job: Job, chosen: list[int]) -> Tensor:
    """First-level codes `[N]` that the models in `folder` assign to the frames of utterances."""
    acoustic = load_acoustic(folder).to(device())
    posterior = load_codec(folder)[0].to(device())
    both = encode_utterances([job.corpus.utterances[index] for index in chosen], posterior)
    means = torch.from_numpy(np.split(np.concatenate(both).astype(np.float32), 2, axis=1)[0])
    return _assigned(means.to(device()) / acoustic.scale, acoustic.codebooks[0])


def _middles(points: Tensor, codes: Tensor, begin: Tensor) -> Tensor:
    """Initial centres: `begin` `[K, D]`, replaced by the mean of the points with that code in
    `codes` `[N]`."""
    if int(codes.max()) >= len(begin):
        raise InputError(f"the codes to keep are more than {len(begin)}")
    counts = torch.bincount(codes, minlength=len(begin))[:, None]
    sums = torch.zeros_like(begin).index_add_(0, codes, points)
    return torch.where(counts > 0, sums / counts.clamp_min(1), begin)


def _clustered(points: Tensor, centres: Tensor, rounds: int, generator: torch.Generator) -> Tensor:
    """k-means: refines `centres` `[K, D]` on `points` `[N, D]`; codes keep their order."""
    for _ in range(rounds):
        codes = _assigned(points, centres)
        counts = torch.bincount(codes, minlength=len(centres))
        sums = torch.zeros_like(centres).index_add_(0, codes, points)
        centres = sums / counts.clamp_min(1)[:, None]
        dead = (counts == 0).nonzero()[:, 0]
        anew = torch.randint(len(points), (len(dead),), generator=generator)
        centres[dead] = points[anew.to(points.device)]
    return centres


def _assigned(points: Tensor, centres: Tensor) -> Tensor:
    return torch.cat([nearest(chunk, centres) for chunk in points.split(_CHUNK)])
