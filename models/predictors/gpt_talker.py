"""GPT-Talker: predicts the answer's semantic codes from the dialogue."""

import math
from dataclasses import dataclass

from torch import Tensor

from models.predictors.code_model import CodeModel
from models.predictors.dialogue_model import DialogueConfig
from models.predictors.sequence import Positions
from models.tokenizers.fsq import CodeEmbedding, CodeHead
from models.transformer import initialise


@dataclass(frozen=True)
class GPTTalkerConfig(DialogueConfig):
    """Sizes of GPT-Talker."""

    levels: tuple[int, ...] = (8, 8, 8, 5)


@dataclass
class GPTTalkerLosses:
    """Mean cross-entropies (nats)."""

    code: Tensor
    advance: Tensor
    plan: Tensor


class GPTTalker(CodeModel):
    """A dialogue model over the codes of the semantic tokenizer (GPT-Talker, arXiv 2407.21491,
    section 3.3)."""

    name = "gpt-talker"
    config: GPTTalkerConfig

    def __init__(self, config: GPTTalkerConfig) -> None:
        super().__init__(config)
        self.num_codes = self.begin = math.prod(config.levels)
        self.code = CodeEmbedding(config.levels, config.dim, num_extra=1)
        self.code_head = CodeHead(config.levels, config.dim)
        self.apply(initialise)

    def losses(self, hidden: Tensor, positions: Positions) -> GPTTalkerLosses:
        """Cross-entropies at hidden states `[B, L, dim]`."""
        return GPTTalkerLosses(
            self.code_loss(hidden, positions),
            self.advance_loss(hidden, positions),
            self.plan_loss(hidden, positions),
        )
