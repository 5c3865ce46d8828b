"""Single frames of one sentence, for tests."""

import torch
from torch import Tensor

from models.predictors.dialogue_model import DialogueModel
from models.predictors.sampling import SamplingOptions
from models.predictors.steps import Frame, FrameCondition, FrameStep, PredictorState


def stepped(
    model: DialogueModel,
    state: PredictorState,
    before: Frame | None,
    at_pointer: Tensor,
    condition: FrameCondition,
) -> Tensor:
    """The hidden state `[dim]` of one frame."""
    nobody = (SamplingOptions(), torch.Generator(), [])
    step = FrameStep(state, before, at_pointer, condition, *nobody)
    return model.frame_steps([step], condition[None])[0]


def drawn_alone(
    model: DialogueModel,
    hidden: Tensor,
    condition: FrameCondition,
    options: SamplingOptions,
    generator: torch.Generator,
    before: list[Frame],
) -> Frame:
    """Samples one frame at a hidden state `[dim]` after the frames `before`."""
    state = PredictorState([])
    step = FrameStep(state, None, hidden, condition, options, generator, before)
    return model.draw_frames(hidden[None], condition[None], [step])[0]
