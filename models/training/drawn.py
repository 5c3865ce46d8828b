"""Codes that GPT-Talker would draw where the true ones stand; kept beside the data.

What follows a predictor hears its codes, not the true ones, so it is trained on them too, as a
vocoder is on spectrograms that were predicted along the truth (Tacotron 2, arXiv 1712.05884,
section 3.1).
"""

from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from models.checkpoint import sha256
from models.predictors.gpt_talker import GPTTalker
from models.predictors.sampling import SamplingOptions
from models.predictors.segments import split_turn
from models.predictors.sequence import Segment
from models.training.corpus import PREPARED, Corpus
from models.training.dialogues import MAX_LENGTH, all_plans, codes_of, length_of
from models.training.encoded import Encoded, groups, load_tokenizer
from models.training.loop import device


def draw_codes(
    root: Path, corpus: Corpus, encoded: list[Encoded], weights: Path, talker: GPTTalker, seed: int
) -> list[np.ndarray]:
    """For every utterance codes `[T]`, each drawn given the dialogue and the true codes before it.

    Args:
        root: of the corpus.
        corpus, encoded: and what `encode_corpus` says of it.
        weights: the folder with `gpt-talker` and the tokenizer; they name the cache.
        talker: of that folder.
        seed: of the draws.
    """
    names = "".join(sha256(weights / f"{n}.safetensors")[:8] for n in ("semantic", "gpt-talker"))
    folder = root / PREPARED / f"drawn-{names}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    plans = all_plans(corpus, encoded, load_tokenizer(weights))
    talker.to(device()).eval()
    generator = torch.Generator(device()).manual_seed(seed)
    found: dict[int, np.ndarray] = {}
    for name, indices in track(groups(corpus).items(), "drawing", transient=True):
        path = folder / f"{name}-{len(indices)}.npy"
        if not path.exists():
            inside = set(indices)
            drawn: dict[int, np.ndarray] = {}
            for turns in corpus.by_dialogue.values():
                if turns[0] in inside:
                    drawn |= _draw_dialogue(turns, corpus, encoded, plans, talker, generator)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, np.concatenate([drawn[i] for i in indices]).astype(np.int16))
            partial.replace(path)
        stored, at = np.load(path), 0
        for index in indices:
            count = corpus.utterances[index].num_frames
            found[index] = stored[at : at + count]
            at += count
    return [found[index] for index in range(len(corpus.utterances))]


def _draw_dialogue(
    turns: list[int],
    corpus: Corpus,
    encoded: list[Encoded],
    plans: list[list[Tensor]],
    talker: GPTTalker,
    generator: torch.Generator,
) -> dict[int, np.ndarray]:
    """Draws the codes of a dialogue's turns, as many turns at once as training has in a row."""
    drawn: dict[int, np.ndarray] = {}
    row: list[Segment] = []
    inside: list[int] = []
    for index in turns:
        turn = _segments(index, corpus, encoded, plans, talker)
        if row and length_of(row + turn) > MAX_LENGTH:
            drawn |= _draw_row(row, inside, encoded, talker, generator)
            row, inside = [], []
        row, inside = row + turn, [*inside, index]
    return drawn | _draw_row(row, inside, encoded, talker, generator)


def _segments(
    index: int,
    corpus: Corpus,
    encoded: list[Encoded],
    plans: list[list[Tensor]],
    talker: GPTTalker,
) -> list[Segment]:
    utterance, known = corpus.utterances[index], encoded[index]
    pointer = torch.from_numpy(known.pointer.astype(np.int64))
    style = torch.from_numpy(known.style).float()
    codes = codes_of(encoded, index)
    segments = split_turn(utterance.speaker, utterance.units, style, codes, pointer)
    for segment, plan in zip(segments, plans[index], strict=True):
        segment.plan = talker.config.plan_scale.bins(plan)
    return segments


@torch.inference_mode()
def _draw_row(
    row: list[Segment],
    turns: list[int],
    encoded: list[Encoded],
    talker: GPTTalker,
    generator: torch.Generator,
) -> dict[int, np.ndarray]:
    where = device()
    with torch.autocast(where.type, torch.bfloat16):
        embedded, positions, _ = talker.read([row])
        logits = talker.code_head(talker(embedded)[positions.code_target >= 0]).float()
    options = SamplingOptions()
    ordered, order = (logits / options.temperature).softmax(-1).sort(dim=-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    chosen = torch.multinomial(ordered * (before < options.top_p), 1, generator=generator)
    codes = order.gather(1, chosen)[:, 0].cpu().numpy()
    ends = np.cumsum([len(encoded[index].codes) for index in turns])
    assert ends[-1] == len(codes)  # every frame of a turn is a target, once and in order
    return dict(zip(turns, np.split(codes, ends[:-1]), strict=True))
