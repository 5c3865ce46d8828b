"""Training rows of dialogues, for the recipes of all predictors."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from data.limits import MAX_PAST_TURNS
from models.predictors.dialogue_model import DialogueModel
from models.predictors.frames import Frames
from models.predictors.plan import PLAN_FIELDS, PlanScale
from models.predictors.segments import TurnBuilder
from models.predictors.sequence import Segment
from models.predictors.units import no_text
from models.text.symbols import IDS, LANGUAGE_MARKS
from models.tokenizers.semantic import SemanticTokenizer
from models.training.configuration import Recipe, setting
from models.training.corpus import Corpus
from models.training.encoded import Encoded

# Fields of a predictor's configuration that the data determine.
DERIVED = ("symbols", "languages", "style_dim", "plan_low", "plan_high")
_LEAST_SHARE = 0.02  # of the turns, for a language to count as trained
_LEAST_RANGE = 1e-3  # of a plan field
MAX_LENGTH = 1280  # fits six past turns and an answer of most dialogues


@dataclass(frozen=True)
class DialogueWeights:
    """Loss weights that the predictors of codes share."""

    code: float = setting(1.0, "of the next code")
    advance: float = setting(1.0, "of the pointer's advance")
    plan: float = setting(0.3, "of the plan tokens")


@dataclass(frozen=True)
class DialogueRecipe(Recipe):
    """Settings that the recipes of all predictors share.

    Starting from trained weights, `warm_rate` and `warm_batch` apply: smaller steps, and more of
    them in the same time.
    """

    rate: float = setting(1.2e-3, "peak learning rate, after warm-up")
    warm_rate: float = setting(5e-4, "peak learning rate when starting from trained weights")
    weight_decay: float = setting(0.05, "of AdamW")
    batch: int = setting(2560, "sequence positions per step, about")
    warm_batch: int = setting(1280, "the same when starting from trained weights")
    max_length: int = setting(MAX_LENGTH, "row length in positions; older turns are dropped")
    no_sound: float = setting(0.1, "share of past turns without audio, as if typed", high=1)
    no_text: float = setting(0.05, "share of past turns without text", high=1)
    no_style: float = setting(0.1, "share of turns without style vector", high=1)


class Dialogues:
    """Samples rows of segments for a predictor.

    Args:
        corpus: the data.
        encoded: output of `encode_corpus`.
        tokenizer: measures each turn's plan from its codes.
        frames: maps an utterance's index to its frames, of the predictor's kind.
        recipe: sampling settings.
        batch: positions per batch, about.
        refined: refined unit of each frame of every utterance, for HAM-TTS.

    Attributes:
        sizes: fields of the predictor's configuration that the data determine.
    """

    def __init__(
        self,
        corpus: Corpus,
        encoded: list[Encoded],
        tokenizer: SemanticTokenizer,
        frames: Callable[[int], Frames],
        recipe: DialogueRecipe,
        batch: int,
        refined: list[np.ndarray] | None = None,
    ) -> None:
        self._refined = refined
        self._builder = TurnBuilder(tokenizer)
        self.recipe, self.batch = recipe, batch
        self.corpus, self.encoded, self.frames = corpus, encoded, frames
        self.plans = all_plans(corpus, encoded, self._builder)
        self._wordless: dict[int, list[Tensor]] = {}  # plans of turns without text
        low, high = plan_range(self.plans)
        self.sizes: dict[str, Any] = {
            "languages": languages_of(corpus),
            "style_dim": len(encoded[0].style),
            "plan_low": low,
            "plan_high": high,
        }
        turns = list(corpus.by_dialogue.values())
        # By the number of available past turns, to sample that number uniformly: short histories
        # would otherwise dominate.
        kinds = min(MAX_PAST_TURNS + 1, max(map(len, turns)))
        self._turns = [[t for t in turns if len(t) > past] for past in range(kinds)]

    def draw(self, generator: np.random.Generator, model: DialogueModel) -> list[list[Segment]]:
        """Samples a batch of rows of similar length, to reduce padding: from rows worth two
        batches, either the shorter two thirds or the longer third."""
        rows: list[list[Segment]] = []
        total = 0
        while total < 2 * self.batch:
            past = int(generator.integers(len(self._turns)))
            fitting = self._turns[past]
            turns = fitting[int(generator.integers(len(fitting)))]
            last = int(generator.integers(past, len(turns)))
            rows.append(self._row(generator, turns[last - past : last + 1], model))
            total += length_of(rows[-1])
        rows.sort(key=length_of)
        cut = len(rows) * 2 // 3
        return rows[:cut] if generator.random() < 0.5 else rows[cut:]

    def _row(
        self, generator: np.random.Generator, chosen: list[int], model: DialogueModel
    ) -> list[Segment]:
        """The segments of consecutive turns; drops the oldest beyond `max_length` positions."""
        row: list[Segment] = []
        for index in reversed(chosen):
            turn = self._turn(generator, index, index == chosen[-1], model)
            if row and length_of(turn + row) > self.recipe.max_length:
                break
            row = turn + row
        return row

    def segments_of(self, index: int, model: DialogueModel) -> list[Segment]:
        """The segments of an utterance, unaugmented, in its own voice."""
        turn = self.encoded[index].turn(self.corpus.utterances[index], self.frames(index))
        return self._builder.build(turn, model, self.plans[index])

    def _turn(
        self, generator: np.random.Generator, index: int, is_last: bool, model: DialogueModel
    ) -> list[Segment]:
        utterance = self.corpus.utterances[index]
        same = self.corpus.by_voice[utterance.voice]
        other = self.encoded[same[int(generator.integers(len(same)))]]
        style = torch.from_numpy(other.style).float()
        if generator.random() < self.recipe.no_style:
            style = torch.zeros_like(style)
        silent = not is_last and generator.random() < self.recipe.no_sound
        wordless = not is_last and not silent and generator.random() < self.recipe.no_text
        refined = None
        if self._refined is not None:
            refined = torch.from_numpy(self._refined[index].astype(np.int64))
        turn = self.encoded[index].turn(utterance, self.frames(index), style, refined)
        if silent:
            typed = replace(turn, style=torch.zeros_like(style), sound=None)
            return self._builder.build(typed, model)
        if wordless:
            assert turn.sound is not None
            sound = replace(turn.sound, pointer=torch.zeros_like(turn.sound.pointer))
            turn = replace(turn, units=no_text(), sound=sound)
            if index not in self._wordless:
                self._wordless[index] = self._builder.measure(turn)
            return self._builder.build(turn, model, self._wordless[index])
        return self._builder.build(turn, model, self.plans[index])


def length_of(row: list[Segment]) -> int:
    """Number of positions of a row."""
    return sum(segment.num_positions for segment in row)


def all_plans(corpus: Corpus, encoded: list[Encoded], builder: TurnBuilder) -> list[list[Tensor]]:
    """The plan of every sentence of all utterances."""
    return [
        builder.measure(row.turn(utterance, row.semantic))
        for utterance, row in zip(corpus.utterances, encoded, strict=True)
    ]


def languages_of(corpus: Corpus) -> tuple[str, ...]:
    """The languages of a corpus, most frequent first."""
    names = {IDS[mark]: language for language, mark in LANGUAGE_MARKS.items()}
    turns = Counter(names[utterance.units.symbols[0]] for utterance in corpus.utterances)
    return tuple(name for name, n in turns.most_common() if n >= _LEAST_SHARE * turns.total())


def plan_range(plans: list[list[Tensor]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Range of the plan bins for each field: its 1st to 99th percentile in the data. A field that
    never changes, such as pitch in whispers, keeps the default."""
    values = torch.stack([plan for row in plans for plan in row])
    assert values.shape[1] == len(PLAN_FIELDS)
    low, high = values.quantile(torch.tensor([0.01, 0.99]), dim=0)
    constant = high - low < _LEAST_RANGE
    low = torch.where(constant, torch.tensor(PlanScale.low), low)
    high = torch.where(constant, torch.tensor(PlanScale.high), high)
    return tuple(low.tolist()), tuple(high.tolist())
