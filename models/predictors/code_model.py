"""Common base of the predictors of discrete codes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.predictors.dialogue_model import DialogueModel
from models.predictors.sampling import draw
from models.predictors.sequence import FrameIndices, Positions, Segment
from models.predictors.steps import Frame, FrameCondition, FrameStep


class CodeModel(DialogueModel):
    """A dialogue model whose frames are codes.

    Subclasses set `code`, which embeds codes `[...]` (and `begin`, the extra index) as `[...,
    dim]`, and `code_head`, from hidden states `[..., dim]` to logits.
    """

    code: nn.Module
    code_head: nn.Module

    def index_frames(
        self, segments: list[Segment]
    ) -> tuple[list[FrameIndices | None], Tensor | None]:
        found: list[FrameIndices | None] = []
        for segment in segments:
            if segment.frames is None:
                found.append(None)
                continue
            history = segment.frames if segment.history is None else segment.history
            found.append(FrameIndices(segment.frames.values, history.values))
        return found, None

    def embed_frames(self, before: Tensor, frames: Tensor | None) -> Tensor:
        return self.code(before)

    @torch.inference_mode()
    def draw_frames(
        self, hidden: Tensor, condition: FrameCondition, steps: list[FrameStep]
    ) -> list[Frame]:
        rows = self.code_head(hidden).cpu()  # all at once: each transfer waits for the device
        return [
            draw(logits, step.options, step.generator, step.frames)  # type: ignore[arg-type]
            for logits, step in zip(rows, steps, strict=True)
        ]

    def stack_frames(self, frames: list[Frame]) -> Tensor:
        return torch.tensor(frames, dtype=torch.long)

    def code_loss(self, hidden: Tensor, positions: Positions) -> Tensor:
        """Mean cross-entropy (nats) of the codes at hidden states `[B, L, dim]`."""
        chosen = positions.code_target >= 0
        logits = self.code_head(hidden[chosen]).float()
        return F.cross_entropy(logits, positions.code_target[chosen])
