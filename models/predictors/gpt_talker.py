"""GPT-Talker: the dialogue in, the codes of the answer out."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.predictors.dialogue_model import DialogueConfig, DialogueModel, Frame, initialise
from models.predictors.sampling import SamplingOptions, draw
from models.predictors.sequence import Positions, Segment
from models.tokenizers.fsq import CodeEmbedding, CodeHead


@dataclass(frozen=True)
class GPTTalkerConfig(DialogueConfig):
    """Sizes of the predictor."""

    levels: tuple[int, ...] = (8, 8, 8, 5)


@dataclass
class Losses:
    """Mean cross-entropies in nats."""

    code: Tensor
    advance: Tensor
    plan: Tensor

    @property
    def total(self) -> Tensor:
        return self.code + self.advance + 0.3 * self.plan


class GPTTalker(DialogueModel):
    """A dialogue model whose frames are the codes of the semantic tokenizer (GPT-Talker, arXiv
    2407.21491, section 3.3)."""

    name = "gpt-talker"
    config: GPTTalkerConfig

    def __init__(self, config: GPTTalkerConfig) -> None:
        super().__init__(config)
        self.num_codes = self.begin = math.prod(config.levels)
        self.code = CodeEmbedding(config.levels, config.dim, num_extra=1)
        self.code_head = CodeHead(config.levels, config.dim)
        self.apply(initialise)

    def tabled(self, segments: list[Segment]) -> tuple[list[Segment], Tensor | None]:
        return segments, None

    def sound(self, before: Tensor, frames: Tensor | None) -> Tensor:
        return self.code(before)

    @torch.inference_mode()
    def draw_frame(
        self,
        hidden: Tensor,
        options: SamplingOptions,
        generator: torch.Generator,
        before: list[Frame],
    ) -> int:
        return draw(self.code_head(hidden), options, generator, before)  # type: ignore[arg-type]

    def stacked(self, frames: list[Frame]) -> Tensor:
        return torch.tensor(frames, dtype=torch.long)

    def losses(self, hidden: Tensor, positions: Positions) -> Losses:
        """Cross-entropies at hidden states `[B, L, dim]`."""
        chosen = positions.code_target >= 0
        logits = self.code_head(hidden[chosen]).float()
        return Losses(
            F.cross_entropy(logits, positions.code_target[chosen]),
            self.advance_loss(hidden, positions),
            self.plan_loss(hidden, positions),
        )
