"""Codes that a predictor would draw where the true ones stand; kept beside the data.

What follows a predictor hears its codes, not the true ones, so it is trained on them too, as a
vocoder is on spectrograms that were predicted along the truth (Tacotron 2, arXiv 1712.05884,
section 3.1). They are drawn by the sampler that draws them when it speaks.
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
from models.training.encoded import Encoded, kept
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
    """For every utterance codes `[T]`, each drawn given the dialogue and the true codes before it.

    Args:
        root: of the corpus.
        corpus, encoded: and what `encode_corpus` says of it.
        weights: the folder with the tokenizer and the predictor, whose checksum names the cache.
        talker: the predictor of that folder.
        frames: an utterance's number to its true codes.
        seed: of the draws.
    """
    made_by = sha256(weights / f"{talker.name}.safetensors")[:16]
    folder = root / PREPARED / f"sampled-{made_by}-{seed}"
    builder = TurnBuilder(load_tokenizer(weights))
    talker.to(device()).eval()

    def segments_of(index: int) -> list[Segment]:
        turn = encoded[index].turn(corpus.utterances[index], frames(index))
        return builder.build(turn, talker)

    def make(name: str, indices: list[int]) -> list[np.ndarray]:
        # A generator a file: a run that was broken off goes on with the same draws.
        number = int(name.partition("-")[0])
        generator = torch.Generator().manual_seed(1000 * seed + number)
        inside = set(indices)
        drawn: dict[int, np.ndarray] = {}
        for turns in corpus.by_dialogue.values():
            if turns[0] in inside:
                drawn |= _draw_dialogue(turns, segments_of, talker, generator)
        return [drawn[index].astype(np.int16) for index in indices]

    return kept(folder, corpus, "drawing", make)


def _draw_dialogue(
    turns: list[int],
    segments_of: Callable[[int], list[Segment]],
    talker: CodeModel,
    generator: torch.Generator,
) -> dict[int, np.ndarray]:
    """Draws the codes of a dialogue's turns, as many turns at once as training has in a row."""
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
    """`counts`: how many frames each turn in the row has, in order."""
    where = device()
    with autocast(where):
        read = talker.read([row])
        logits = talker.code_head(talker(read.embedded)[read.positions.code_target >= 0])
    rest = iter(logits.float().cpu())
    codes: list[int] = []
    for segment in row:
        before: list[int] = []  # in this sentence, as when it is spoken
        for _ in range(0 if segment.frames is None else len(segment.frames)):
            before.append(draw(next(rest), SamplingOptions(), generator, before))
        codes += before
    ends = np.cumsum(list(counts.values()))
    return dict(zip(counts, np.split(np.array(codes), ends[:-1]), strict=True))
