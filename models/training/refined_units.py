"""Refined self-supervised units for the aligner: clusters of the semantic tokenizer's features.

HAM-TTS clusters HuBERT features by k-means, which keeps content and removes speaker identity (arXiv
2403.05989, section 3.1). Here the features are the tokenizer's before quantisation, or HuBERT's if
its weights are given.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans
from torch import nn

from data.files import atomic_path
from models.checkpoint import sha256
from models.mel import FRAME_SAMPLES, num_frames
from models.precision import autocast
from models.tokenizers.hubert import Hubert
from models.tokenizers.semantic import load_tokenizer
from models.training.corpus import PREPARED, Corpus
from models.training.encoded import cached, in_batches
from models.training.loop import device, first_process_first

logger = logging.getLogger(__name__)

_FITTED_UTTERANCES = 600

# Maps samples `[B, T]` with valid `lengths` `[B]` to features `[B, T', dim]` at 25 Hz.
FeatureExtractor = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def refined_units(
    root: Path,
    corpus: Corpus,
    weights: Path,
    seed: int,
    num_refined: int,
    hubert: Path | None = None,
) -> list[np.ndarray]:
    """The refined unit of each frame of every utterance, int16 `[T]`; cached beside the data.

    Args:
        root, corpus: the data.
        weights: folder of the tokenizer.
        seed: seed of the clustering.
        num_refined: number of clusters.
        hubert: folder of a HuBERT to use instead of the tokenizer.
    """
    file = weights / "semantic.safetensors" if hubert is None else hubert / "model.safetensors"
    extract = _tokenizer_extractor(weights) if hubert is None else Hubert(hubert).to(device())
    folder = root / PREPARED / f"refined-{sha256(file)[:16]}-{num_refined}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    centres_file = folder / "centres.npy"
    with first_process_first():
        if not centres_file.exists():
            centres = _fitted(corpus, extract, seed, num_refined)
            with atomic_path(centres_file) as temporary, temporary.open("wb") as file:
                np.save(file, centres)
    centres = torch.from_numpy(np.load(centres_file)).to(device())

    def make(_: str, indices: list[int]) -> list[np.ndarray]:
        return [row.astype(np.int16) for row in _features(corpus, indices, extract, centres)]

    return cached(folder, corpus, "refining", make)


def _tokenizer_extractor(weights: Path) -> FeatureExtractor:
    tokenizer = load_tokenizer(weights).to(device())
    whole = tokenizer.config.chunk_frames * FRAME_SAMPLES

    def extract(samples: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(samples, (0, -samples.shape[1] % whole))
        return tokenizer.encode_features(tokenizer.features(padded))

    return extract


def _fitted(corpus: Corpus, extract: FeatureExtractor, seed: int, num_refined: int) -> np.ndarray:
    """Fits cluster centres `[num_refined, dim]` to the features of random utterances."""
    generator = np.random.default_rng(seed)
    count = min(_FITTED_UTTERANCES, len(corpus.utterances))
    chosen = generator.choice(len(corpus.utterances), count, replace=False).tolist()
    points = np.concatenate(_features(corpus, chosen, extract, None))
    logger.info("refined units: %d clusters of %d frames", num_refined, len(points))
    fitted = MiniBatchKMeans(num_refined, batch_size=4096, n_init=1, random_state=seed).fit(points)  # pyright: ignore[reportArgumentType]
    return np.asarray(fitted.cluster_centers_, np.float32)


def _features(
    corpus: Corpus,
    indices: list[int],
    extract: FeatureExtractor,
    centres: torch.Tensor | None,
) -> list[np.ndarray]:
    """Features `[T, dim]` of utterances; with `centres`, the index of the nearest one per frame
    `[T]`."""
    found: dict[int, np.ndarray] = {}
    where = device()
    chosen = [corpus.utterances[i] for i in indices]
    for rows, samples in in_batches(chosen):
        lengths = torch.tensor([len(chosen[row].samples) for row in rows], device=where)
        with torch.inference_mode(), autocast(where):
            features = extract(samples.to(where), lengths).float()
        if centres is not None:
            features = torch.cdist(features, centres[None].expand(len(rows), -1, -1)).argmin(-1)
        for place, row in enumerate(rows):
            length = num_frames(len(chosen[row].samples))
            found[row] = features[place, :length].cpu().numpy()
    return [found[row] for row in range(len(indices))]
