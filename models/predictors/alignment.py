"""Forced alignment of text and audio: a monotonic path through the phone posteriors."""

import torch
from torch import Tensor

from models.predictors.sequence import MAX_ADVANCE
from models.predictors.units import Units
from models.text.symbols import check_symbols

_SKIP_PENALTY = 0.5  # nats per skipped unit


def align_units(phones: Tensor, units: Units) -> Tensor:
    """The unit under the pointer at each frame, `[T]`, by Viterbi search.

    Args:
        phones: log-probabilities of each frame's symbol from the semantic tokenizer's phone head,
            `[T, num_symbols]`.
        units: the text. The path starts at unit 0; it ends early if the audio is too short.

    Raises:
        InputError: the text has a symbol that the phone head lacks.
    """
    check_symbols(units.symbols, phones.shape[1], "the semantic tokenizer")
    scores = phones[:, torch.tensor(units.symbols)].float().cpu()
    length, count = scores.shape
    steps = min(MAX_ADVANCE, count - 1)
    best = torch.full((count,), -torch.inf)
    best[0] = scores[0, 0]
    came_from = torch.zeros(length, count, dtype=torch.long)
    for frame in range(1, length):
        options = torch.full((steps + 1, count), -torch.inf)
        for step in range(steps + 1):
            options[step, step:] = best[: count - step] - _SKIP_PENALTY * max(0, step - 1)
        best, came_from[frame] = options.max(0)
        best = best + scores[frame]
    # Closing marks may have no frames.
    reachable = best.isfinite().nonzero()[:, 0]
    unit = int(reachable[-1])
    path = torch.zeros(length, dtype=torch.long)
    for frame in range(length - 1, -1, -1):
        path[frame] = unit
        unit -= int(came_from[frame, unit])
    return path
