"""Codes sampled by a predictor along the true ones; cached beside the data.

Renderers get sampled codes at inference, so they are trained on them too, as Tacotron 2 (arXiv
1712.05884, section 3.1) trains its vocoder on spectrograms predicted with teacher forcing. The
sampler is that of inference.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from models.checkpoint import sha256
from models.precision import autocast
from models.predictors.code_model import CodeModel
from models.predictors.frames import AcousticCodes, SemanticCodes
from models.predictors.sampling import SamplingOptions, draw
from models.predictors.segments import TurnBuilder
from models.predictors.sequence import Segment
from models.tokenizers.semantic import load_tokenizer
from models.training.corpus import PREPARED, Corpus
from models.training.dialogues import MAX_LENGTH, length_of
from models.training.encoded import Encoded, cached
from models.training.loop import device


def draw_codes(
    root: Path,
    corpus: Corpus,
    encoded: list[Encoded],
    weights: Path,
    talker: CodeModel,
    frames: Callable[[int], SemanticCodes | AcousticCodes],
    seed: int,
) -> list[np.ndarray]:
    """Samples codes `[T]` for every utterance, each given the dialogue and the true codes before
    it.

    Args:
        root: folder of the corpus.
        corpus, encoded: the corpus and its encoding by `encode_corpus`.
        weights: folder of the tokenizer and the predictor, whose checksum names the cache.
        talker: the predictor of that folder.
        frames: maps an utterance's index to its true codes.
        seed: seed of the sampling.
    """
    made_by = sha256(weights / f"{talker.name}.safetensors")[:16]
    folder = root / PREPARED / f"sampled-{made_by}-{seed}"
    builder = TurnBuilder(load_tokenizer(weights))
    talker.to(device()).eval()

    def segments_of(index: int) -> list[Segment]:
        turn = encoded[index].turn(corpus.utterances[index], frames(index))
        return builder.build(turn, talker)

    def make(name: str, indices: list[int]) -> list[np.ndarray]:
        # One generator per file: an interrupted run continues with the same samples.
        number = int(name.partition("-")[0])
        generator = torch.Generator().manual_seed(1000 * seed + number)
        inside = set(indices)
        drawn: dict[int, np.ndarray] = {}
        for turns in corpus.by_dialogue.values():
            if turns[0] in inside:
                drawn |= _draw_dialogue(turns, segments_of, talker, generator)
        return [drawn[index].astype(np.int16) for index in indices]

    return cached(folder, corpus, "drawing", make)


def _draw_dialogue(
    turns: list[int],
    segments_of: Callable[[int], list[Segment]],
    talker: CodeModel,
    generator: torch.Generator,
) -> dict[int, np.ndarray]:
    """Samples codes of a dialogue, in rows as long as in training."""
    drawn: dict[int, np.ndarray] = {}
    row: list[Segment] = []
    counts: dict[int, int] = {}
    for index in turns:
        turn = segments_of(index)
        if row and length_of(row + turn) > MAX_LENGTH:
            drawn |= _draw_row(row, counts, talker, generator)
            row, counts = [], {}
        row += turn
        counts[index] = sum(len(segment.frames) for segment in turn if segment.frames is not None)
    return drawn | _draw_row(row, counts, talker, generator)


@torch.inference_mode()
def _draw_row(
    row: list[Segment], counts: dict[int, int], talker: CodeModel, generator: torch.Generator
) -> dict[int, np.ndarray]:
    """Samples codes of one row; `counts` are the frames of each turn, in order."""
    where = device()
    with autocast(where):
        read = talker.read([row])
        logits = talker.code_head(talker(read.embedded)[read.positions.code_target >= 0])
    rest = iter(logits.float().cpu())
    codes: list[int] = []
    for segment in row:
        before: list[int] = []  # within this sentence, as at inference
        for _ in range(0 if segment.frames is None else len(segment.frames)):
            before.append(draw(next(rest), SamplingOptions(), generator, before))
        codes += before
    ends = np.cumsum(list(counts.values()))
    return dict(zip(counts, np.split(np.array(codes), ends[:-1]), strict=True))
