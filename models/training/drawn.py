"""Codes that a predictor would draw where the true ones stand; kept beside the data.

What follows a predictor hears its codes, not the true ones, so it is trained on them too, as a
vocoder is on spectrograms that were predicted along the truth (Tacotron 2, arXiv 1712.05884,
section 3.1).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.checkpoint import sha256
from models.precision import autocast
from models.predictors.code_model import CodeModel
from models.predictors.sampling import SamplingOptions
from models.predictors.segments import split_turn
from models.predictors.sequence import Segment
from models.tokenizers.semantic import load_tokenizer
from models.training.corpus import PREPARED, Corpus
from models.training.dialogues import MAX_LENGTH, all_plans, length_of
from models.training.encoded import Encoded, kept
from models.training.loop import device


def draw_codes(
    root: Path,
    corpus: Corpus,
    encoded: list[Encoded],
    weights: Path,
    talker: CodeModel,
    frames: Callable[[int], Tensor],
    seed: int,
) -> list[np.ndarray]:
    """For every utterance codes `[T]`, each drawn given the dialogue and the true codes before it.

    Args:
        root: of the corpus.
        corpus, encoded: and what `encode_corpus` says of it.
        weights: the folder with the tokenizer and the predictor, whose checksum names the cache.
        talker: the predictor of that folder.
        frames: an utterance's number to its true codes `[T]`.
        seed: of the draws.
    """
    made_by = sha256(weights / f"{talker.name}.safetensors")[:16]
    folder = root / PREPARED / f"drawn-{made_by}-{seed}"
    plans = all_plans(corpus, encoded, load_tokenizer(weights))
    talker.to(device()).eval()

    def segments_of(index: int) -> list[Segment]:
        utterance = corpus.utterances[index]
        pointer = torch.from_numpy(encoded[index].pointer.astype(np.int64))
        style = torch.from_numpy(encoded[index].style).float()
        segments = split_turn(utterance.speaker, utterance.units, style, frames(index), pointer)
        for segment, plan in zip(segments, plans[index], strict=True):
            segment.plan = talker.config.plan_scale.bins(plan)
        return segments

    def make(name: str, indices: list[int]) -> list[np.ndarray]:
        # A generator a file: a run that was broken off goes on with the same draws.
        number = int(name.partition("-")[0])
        generator = torch.Generator(device()).manual_seed(1000 * seed + number)
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
        counts[index] = sum(len(segment.codes) for segment in turn if segment.codes is not None)
    return drawn | _draw_row(row, counts, talker, generator)


@torch.inference_mode()
def _draw_row(
    row: list[Segment], counts: dict[int, int], talker: CodeModel, generator: torch.Generator
) -> dict[int, np.ndarray]:
    """`counts`: how many frames each turn in the row has, in order."""
    where = device()
    with autocast(where):
        read = talker.read([row])
        logits = talker.code_head(talker(read.embedded)[read.positions.code_target >= 0]).float()
    options = SamplingOptions()
    ordered, order = (logits / options.temperature).softmax(-1).sort(dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    chosen = torch.multinomial(ordered * (before < options.top_p), 1, generator=generator)
    codes = order.gather(1, chosen)[:, 0].cpu().numpy()
    ends = np.cumsum(list(counts.values()))
    return dict(zip(counts, np.split(codes, ends[:-1]), strict=True))
