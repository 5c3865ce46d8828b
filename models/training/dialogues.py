"""What the recipes of all predictors share: stretches of dialogues as rows of segments."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.predictors.dialogue_model import MAX_PAST_TURNS, DialogueConfig
from models.predictors.plan import PLAN_FIELDS, measure_plan
from models.predictors.segments import split_turn
from models.predictors.sequence import Segment
from models.predictors.units import Units, no_text
from models.tokenizers.semantic import SemanticTokenizer
from models.training.corpus import Corpus
from models.training.encoded import Encoded

MAX_LENGTH = 1280  # holds six past turns of most dialogues, and an answer
POSITIONS_A_BATCH = 2560
NO_SOUND = 0.1  # share of past turns whose sound is left out, as when a person types
NO_TEXT = 0.05  # share of past turns whose words are not known
NO_STYLE = 0.1


class Dialogues:
    """Draws rows of segments for a predictor.

    Args:
        corpus: what is drawn from.
        encoded: of `encode_corpus`.
        tokenizer: tells each turn's manner from its codes.
        frames: an utterance's number to its frames, `[T]` or `[T, latent_dim]`.
        num_positions: of a batch, about.

    Attributes:
        sizes: what the data say of a predictor's configuration.
    """

    def __init__(
        self,
        corpus: Corpus,
        encoded: list[Encoded],
        tokenizer: SemanticTokenizer,
        frames: Callable[[int], Tensor],
        num_positions: int = POSITIONS_A_BATCH,
    ) -> None:
        self.num_positions = num_positions
        self.corpus, self.encoded, self.frames = corpus, encoded, frames
        self.plans = all_plans(corpus, encoded, tokenizer)
        low, high = _plan_range(self.plans)
        self.sizes: dict[str, Any] = {
            "style_dim": len(encoded[0].style),
            "plan_low": low,
            "plan_high": high,
        }
        turns = list(corpus.by_dialogue.values())
        # By how many past turns an answer can have: few, in most dialogues, and then they would be
        # all that a predictor learns of.
        kinds = min(MAX_PAST_TURNS + 1, max(map(len, turns)))
        self._turns = [[t for t in turns if len(t) > past] for past in range(kinds)]

    def draw(self, generator: np.random.Generator, config: DialogueConfig) -> list[list[Segment]]:
        """A batch: rows of like length, so that little of it is padding. Two batches' worth is
        drawn, and the shorter two thirds or the longer third of the rows are given."""
        rows: list[list[Segment]] = []
        total = 0
        while total < 2 * self.num_positions:
            past = int(generator.integers(len(self._turns)))
            fitting = self._turns[past]
            turns = fitting[int(generator.integers(len(fitting)))]
            last = int(generator.integers(past, len(turns)))
            rows.append(self._row(generator, turns[last - past : last + 1], config))
            total += length_of(rows[-1])
        rows.sort(key=length_of)
        cut = len(rows) * 2 // 3
        return rows[:cut] if generator.random() < 0.5 else rows[cut:]

    def _row(
        self, generator: np.random.Generator, chosen: list[int], config: DialogueConfig
    ) -> list[Segment]:
        """The segments of turns in a row, of the last of them at most `MAX_LENGTH` positions."""
        row: list[Segment] = []
        for index in reversed(chosen):
            turn = self._turn(generator, index, index == chosen[-1], config)
            if row and length_of(turn + row) > MAX_LENGTH:
                break
            row = turn + row
        return row

    def _turn(
        self, generator: np.random.Generator, index: int, is_last: bool, config: DialogueConfig
    ) -> list[Segment]:
        utterance = self.corpus.utterances[index]
        units: Units = utterance.units
        same = self.corpus.by_voice[utterance.voice]
        other = self.encoded[same[int(generator.integers(len(same)))]]
        style = torch.from_numpy(other.style).float()
        if generator.random() < NO_STYLE:
            style = torch.zeros_like(style)
        pointer = torch.from_numpy(self.encoded[index].pointer.astype(np.int64))
        silent = not is_last and generator.random() < NO_SOUND
        wordless = not is_last and not silent and generator.random() < NO_TEXT
        if wordless:
            units, pointer = no_text(), torch.zeros_like(pointer)
        segments = split_turn(utterance.speaker, units, style, self.frames(index), pointer)
        for segment, plan in zip(segments, self.plans[index], strict=False):
            segment.plan = config.plan_scale.bins(plan)
            if silent:
                segment.plan = segment.codes = segment.pointer = None
        return segments


def codes_of(encoded: list[Encoded], index: int) -> Tensor:
    """The codes `[T]` of an utterance."""
    return torch.from_numpy(encoded[index].codes.astype(np.int64))


def length_of(row: list[Segment]) -> int:
    """Positions of a row."""
    return sum(segment.num_positions for segment in row)


def all_plans(
    corpus: Corpus, encoded: list[Encoded], tokenizer: SemanticTokenizer
) -> list[list[Tensor]]:
    """The plan of every sentence of every utterance."""
    found = []
    with torch.inference_mode():
        for utterance, row in zip(corpus.utterances, encoded, strict=True):
            codes = torch.from_numpy(row.codes.astype(np.int64))
            pointer = torch.from_numpy(row.pointer.astype(np.int64))
            nothing = torch.zeros(1)
            segments = split_turn(0, utterance.units, nothing, codes, pointer)
            plans = []
            for segment in segments:
                prosody = tokenizer.inspect(segment.codes[None])[1]
                plans.append(measure_plan(prosody, len(segment.units)).clone())
            found.append(plans)
    return found


def _plan_range(plans: list[list[Tensor]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    values = torch.stack([plan for row in plans for plan in row])
    assert values.shape[1] == len(PLAN_FIELDS)
    low, high = values.quantile(torch.tensor([0.01, 0.99]), dim=0).tolist()
    return tuple(low), tuple(high)
