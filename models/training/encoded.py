"""Output of the trained encoders for every utterance (codes, pointer, style, latents), cached
beside the data.

Training and inference compute codes and plans by the same functions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor, nn

from data.audio.pcm import to_float
from data.files import atomic_path
from models.checkpoint import sha256
from models.mel import FRAME_SAMPLES, SAMPLE_RATE
from models.precision import autocast
from models.predictors.alignment import align_units
from models.predictors.frames import Frames, SemanticCodes
from models.predictors.segments import EncodedTurn, TurnSound
from models.tokenizers.semantic import SemanticTokenizer, load_tokenizer
from models.training.corpus import PREPARED, Corpus, Utterance
from models.training.loop import device, first_process_first
from models.vocoder.codec import latents_file, load_codec
from models.vocoder.encodec import EncodecLatents
from models.vocoder.posterior import Posterior
from models.vocoder.style import StyleEncoder, load_style

STYLE_SECONDS = 6
_UNINFORMATIVE_STD = 0.5  # posterior deviation (prior: 1) above which a dimension is ignored
BATCH = 32


@dataclass(frozen=True)
class Encoded:
    """Codes `[T]`, pointer `[T]` and style `[style_dim]` of an utterance."""

    codes: np.ndarray
    pointer: np.ndarray
    style: np.ndarray

    def turn(
        self,
        utterance: Utterance,
        frames: Frames,
        style: Tensor | None = None,
        refined: Tensor | None = None,
    ) -> EncodedTurn:
        """The utterance as an encoded turn.

        Args:
            utterance: the utterance of this encoding.
            frames: its frames, of the predictor's kind.
            style: another style vector; None: its own.
            refined: refined units of its frames, for training HAM-TTS.
        """
        pointer = torch.from_numpy(self.pointer.astype(np.int64))
        sound = TurnSound(self.semantic, pointer, frames, refined)
        own = torch.from_numpy(self.style).float() if style is None else style
        return EncodedTurn(utterance.speaker, utterance.units, own, sound)

    @property
    def semantic(self) -> SemanticCodes:
        """Its codes as typed frames."""
        return SemanticCodes(torch.from_numpy(self.codes.astype(np.int64)))


@dataclass(frozen=True)
class LatentPosterior:
    """The posterior of an utterance: `mean` and `std`, float16 `[T, latent_dim]` at 25 Hz."""

    mean: np.ndarray
    std: np.ndarray

    def sample(self) -> torch.Tensor:
        """A sample, float32 `[T, latent_dim]`."""
        mean, std = torch.from_numpy(self.mean).float(), torch.from_numpy(self.std).float()
        return mean + std * torch.randn_like(mean)

    @property
    def informative_std(self) -> np.ndarray:
        """`std`, set to 0 where the posterior carries almost no information: the decoder ignores
        these dimensions, and predictors need not learn their noise."""
        return self.std * (self.std < _UNINFORMATIVE_STD)

    def sample_informative(self) -> torch.Tensor:
        """A sample with `informative_std`."""
        mean, std = (
            torch.from_numpy(self.mean).float(),
            torch.from_numpy(self.informative_std).float(),
        )
        return mean + std * torch.randn_like(mean)


def encode_corpus(root: Path, corpus: Corpus, weights: Path) -> list[Encoded]:
    """Encodes every utterance once; cached beside the data under the weights' checksums.

    Utterances without phone times are force-aligned with the tokenizer's phone head.
    """
    names = "".join(sha256(weights / f"{n}.safetensors")[:8] for n in ("semantic", "style"))
    folder = root / PREPARED / f"encoded-{names}"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = load_tokenizer(weights).to(device())
    style = load_style(weights).to(device())
    found: dict[int, Encoded] = {}
    with first_process_first():
        for name, indices in track(corpus.by_shard.items(), "encoding", transient=True):
            path = folder / f"{name}.npz"
            if path.exists():
                continue
            rows = _encode([corpus.utterances[i] for i in indices], tokenizer, style)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(
                    file,
                    codes=np.concatenate([r.codes for r in rows]).astype(np.int16),
                    pointer=np.concatenate([r.pointer for r in rows]).astype(np.int16),
                    style=np.stack([r.style for r in rows]).astype(np.float16),
                )
    for name, indices in corpus.by_shard.items():
        with np.load(folder / f"{name}.npz") as stored:
            codes, pointer, styles = stored["codes"], stored["pointer"], stored["style"]
        at = 0
        for row, index in enumerate(indices):
            count = corpus.utterances[index].num_frames
            found[index] = Encoded(codes[at : at + count], pointer[at : at + count], styles[row])
            at += count
    return [found[index] for index in range(len(corpus.utterances))]


def encode_latents(root: Path, corpus: Corpus, weights: Path) -> list[LatentPosterior]:
    """The posterior of every utterance, computed once and cached like `encode_corpus`."""
    folder = root / PREPARED / f"latents-{sha256(latents_file(weights))[:16]}"
    posterior = load_codec(weights)[0].to(device())

    def make(_: str, indices: list[int]) -> list[np.ndarray]:
        return encode_utterances([corpus.utterances[i] for i in indices], posterior)

    rows = cached(folder, corpus, "encoding latents", make)
    return [LatentPosterior(*np.split(row, 2, axis=1)) for row in rows]


def cached(
    folder: Path,
    corpus: Corpus,
    doing: str,
    make: Callable[[str, list[int]], list[np.ndarray]],
    num_frames: Callable[[Utterance], int] = lambda utterance: utterance.num_frames,
) -> list[np.ndarray]:
    """Computes an array `[T, ...]` per utterance once; caches one file per shard of the corpus.

    Args:
        folder: cache folder, named by everything the result depends on.
        corpus: the utterances.
        doing: text of the progress bar.
        make: maps a shard's name and utterance indices to an array `[T, ...]` each.
        num_frames: T of an utterance.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[int, np.ndarray] = {}
    with first_process_first():
        for name, indices in track(corpus.by_shard.items(), doing, transient=True):
            path = folder / f"{name}.npy"
            if path.exists():
                continue
            rows = np.concatenate(make(name, indices))
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.save(file, rows)
    for name, indices in corpus.by_shard.items():
        # torch expects writable memory; nothing writes to it
        stored = np.load(folder / f"{name}.npy", mmap_mode="r+")
        at = 0
        for index in indices:
            count = num_frames(corpus.utterances[index])
            found[index] = stored[at : at + count]
            at += count
    return [found[index] for index in range(len(corpus.utterances))]


def encode_utterances(
    utterances: list[Utterance], posterior: Posterior | EncodecLatents
) -> list[np.ndarray]:
    """Posterior mean and deviation, concatenated, of each utterance, float16 `[T, 2
    latent_dim]`."""
    found: dict[int, np.ndarray] = {}
    where = device()
    for chosen, padded in in_batches(utterances):
        samples = padded.to(where)
        with torch.inference_mode(), autocast(where):
            with torch.autocast(where.type, enabled=False):
                features = posterior.features(samples)
            mean, log_variance = posterior(features)
        both = torch.cat([mean, (0.5 * log_variance).exp()], dim=-1).half().cpu().numpy()
        for row, index in enumerate(chosen):
            found[index] = both[row, : utterances[index].num_frames]
    return [found[index] for index in range(len(utterances))]


def in_batches(
    utterances: list[Utterance], whole_frames: int = 1
) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Batches utterances of similar length: indices and samples `[B, T]`, zero-padded to a multiple
    of `whole_frames`."""
    order = sorted(range(len(utterances)), key=lambda i: len(utterances[i].samples))
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        sounds = [torch.from_numpy(to_float(utterances[i].samples)) for i in chosen]
        padded = nn.utils.rnn.pad_sequence(sounds, batch_first=True)
        rest = -padded.shape[1] % (whole_frames * FRAME_SAMPLES)
        yield chosen, nn.functional.pad(padded, (0, rest))


def _encode(
    utterances: list[Utterance], tokenizer: SemanticTokenizer, style: StyleEncoder
) -> list[Encoded]:
    """Encodes utterances in batches of similar length."""
    found: dict[int, Encoded] = {}
    where = device()
    for chosen, padded in in_batches(utterances):
        samples = padded.to(where)
        with torch.inference_mode(), autocast(where):
            styles = style.encode(samples[:, : STYLE_SECONDS * SAMPLE_RATE]).float().cpu().numpy()
            codes = tokenizer.encode(samples)
        for row, index in enumerate(chosen):
            utterance = utterances[index]
            own = codes[row, : utterance.num_frames]
            pointer = utterance.pointer
            if pointer is None:
                phones, _ = tokenizer.inspect(own[None])
                pointer = align_units(phones[0], utterance.units).numpy()
            found[index] = Encoded(own.cpu().numpy(), pointer, styles[row])
    return [found[index] for index in range(len(utterances))]
