"""Recipes: the codebooks of the acoustic tokenizer, on the latents of the trained autoencoder, or
those of EnCodec."""

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

_CHUNK = 1024  # distances of a chunk stay in the cache


@dataclass(frozen=True)
class AcousticRecipe:
    """How the codebooks are fitted."""

    derived = ("model.latent_dim",)

    points: int = setting(200_000, "frames that the codebooks are fitted to")
    rounds: int = setting(30, "rounds of k-means for each level")
    model: AcousticConfig = field(default_factory=AcousticConfig)


def train_acoustic(job: Job, recipe: AcousticRecipe, like: Path | None = None) -> AcousticRecipe:
    """Fits the codebooks and writes `acoustic.safetensors`; returns what was made.

    The latents stay as they are, so each level is k-means on what the levels before it leave
    (Lloyd's algorithm, which an exponential moving average only imitates); a code that a round
    leaves without points begins anew at a random one. Needs a minute or two.

    With `like`, a folder with other latents and their codebooks, each of the first level's codes
    begins in the middle of the frames that are called so there: a code keeps what it says, as far
    as it can, and HAM-TTS can go on.

    Long because it reads top to bottom, as the recipe does.

    Raises:
        InputError: there are fewer frames than codes, or fewer codes than in `like`.
        MissingModelError: `like` has no posterior or no codebooks.
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
    """Makes `out` a folder whose models speak through EnCodec; writes `encodec.safetensors` and, of
    its codebooks, `acoustic.safetensors`, whose sizes it returns.

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
    """Random utterances with at least `points` frames together, where there are so many."""
    order = np.random.default_rng(seed).permutation(len(latents))
    ends = np.cumsum([len(latents[index].mean) for index in order])
    return order[: int(np.searchsorted(ends, points)) + 1].tolist()


def _first_codes(folder: Path, job: Job, chosen: list[int]) -> Tensor:
    """The first codes `[N]` that the models in `folder` give to the frames of utterances."""
    acoustic = load_acoustic(folder).to(device())
    posterior = load_codec(folder)[0].to(device())
    both = encode_utterances([job.corpus.utterances[index] for index in chosen], posterior)
    means = torch.from_numpy(np.split(np.concatenate(both).astype(np.float32), 2, axis=1)[0])
    return _assigned(means.to(device()) / acoustic.scale, acoustic.codebooks[0])


def _middles(points: Tensor, codes: Tensor, begin: Tensor) -> Tensor:
    """`begin` `[K, D]`, but where `codes` `[N]` name points: their mean."""
    if int(codes.max()) >= len(begin):
        raise InputError(f"the codes to keep are more than {len(begin)}")
    counts = torch.bincount(codes, minlength=len(begin))[:, None]
    sums = torch.zeros_like(begin).index_add_(0, codes, points)
    return torch.where(counts > 0, sums / counts.clamp_min(1), begin)


def _clustered(points: Tensor, centres: Tensor, rounds: int, generator: torch.Generator) -> Tensor:
    """k-means: centres `[K, D]` of `points` `[N, D]`, beginning with `centres`, which stay."""
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
