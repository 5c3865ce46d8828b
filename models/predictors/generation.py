"""Generates one sentence: first its plan tokens, then its frames while the pointer advances."""

import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.delivery.delivery import PLAIN, Plan
from models.guidance import guided
from models.predictors.dialogue_model import DialogueModel
from models.predictors.plan import NUM_BINS, PLAN_FIELDS
from models.predictors.sampling import SamplingOptions, pick
from models.predictors.sequence import MAX_ADVANCE, Segment
from models.predictors.steps import Frame, FrameStep, PredictorState, SampledFrame
from models.predictors.units import MARKS, units_around

logger = logging.getLogger(__name__)

MAX_PHONE_FRAMES = 12  # 480 ms, the longest plausible phone
MAX_PAUSE_FRAMES = 25
MAX_UNITS_A_FRAME = 1.1  # 27 phones/s, faster than any speaker
HEAD_START_UNITS = 6
Steps = Generator[FrameStep, SampledFrame, None]

_PLAN_TEMPERATURE = 0.25  # close to the codes': rare bins sound wrong


@dataclass
class Sentence:
    """A sentence being generated: its segment and the frames so far."""

    segment: Segment
    frames: list[Frame] = field(default_factory=list)
    pointer: list[int] = field(default_factory=list)
    forced: int = 0  # times that a guard overrode the pointer's advance


class DurationSampler:
    """Samples how long the pointer stays at a unit.

    It stays until its survival probability falls below a threshold sampled once per unit. With
    `spread` 1 the threshold is uniform in 0 to 1, which equals sampling each frame's advance
    independently. A smaller spread narrows it around 0.5: it cuts off unusually short and long
    durations and keeps the median.
    """

    def __init__(self, spread: float, generator: torch.Generator) -> None:
        self._spread = spread
        chance = float(torch.rand(1, generator=generator))
        self._threshold = 0.5 + spread * (chance - 0.5)
        self._survival = 1.0

    def end(self, chances: Tensor, generator: torch.Generator) -> int:
        """The pointer's advance after one more frame; 0 if it stays.

        Args:
            chances: probability of each advance, `[MAX_ADVANCE + 1]`.
            generator: samples the size of the advance, at temperature `spread`.
        """
        self._survival *= float(chances[0])
        if self._survival > self._threshold:
            return 0
        going = chances[1:].clamp_min(1e-12).log() / max(self._spread, 1e-3)
        return 1 + pick(going.softmax(-1), generator)


def generate(
    model: DialogueModel,
    state: PredictorState,
    sentence: Sentence,
    options: SamplingOptions,
    generator: torch.Generator,
    plan: Plan = PLAIN,
) -> Steps:
    """Generates one sentence as a coroutine that extends the dialogue in `state`.

    It yields a `FrameStep` per frame and expects its `SampledFrame`; the caller may batch the steps
    of many sentences (`DialogueModel.step`). `plan` offsets the sampled plan bins. `sentence` grows
    by one frame per step. Generation ends when the pointer passes the last unit; guards advance a
    pointer that stalls and hold one that races. A sentence that alone fills the cache is cut off.

    Long because one sentence has one state: pointer, age and sampler change together.
    """
    segment = sentence.segment
    first = state.next_position
    texts = model.encode_units(segment.units)
    with torch.inference_mode():
        embedded = model.read([[segment]], texts[None]).embedded
    branches = [(state, model.append(state, embedded))]
    # Later sentences of a turn condition on the first, which is in the cache.
    if state.turn_ends and not segment.continues and model.config.plan_guidance != 1:
        alone = model.init_state(texts.device, capacity=embedded.shape[1] + len(PLAN_FIELDS))
        branches.append((alone, model.append(alone, embedded)))
    segment.plan = _draw_plan(model, branches, generator, plan)
    device = texts.device
    at_pointer = model.at_pointer(texts)
    around = units_around(segment.units).to(device)
    manner = model.manner(segment.plan.to(device), segment.style.to(device))
    unit, age = 0, 0
    stay = DurationSampler(options.duration_spread, generator)
    frame: Frame | None = None
    count = len(segment.units)
    symbols = segment.units[:, 0].tolist()
    while unit < count and state.next_position - first < model.capacity:
        condition = model.frame_condition(age, manner, around[unit])
        drawn = yield FrameStep(
            state, frame, at_pointer[unit], condition, options, generator, sentence.frames
        )
        frame = drawn.frame
        sentence.frames.append(frame)
        sentence.pointer.append(unit)
        advance = stay.end(drawn.advance_probs, generator)
        limit = MAX_PAUSE_FRAMES if symbols[unit] in MARKS else MAX_PHONE_FRAMES
        if advance == 0 and age + 1 >= limit:
            advance = 1
            sentence.forced += 1
        pace = HEAD_START_UNITS + MAX_UNITS_A_FRAME * len(sentence.frames)
        if advance > 0 and unit + advance > pace:
            advance = 0
            sentence.forced += 1
        assert advance <= MAX_ADVANCE
        age = age + 1 if advance == 0 else 0
        unit += advance
        if advance:
            stay = DurationSampler(options.duration_spread, generator)
    if unit < count:
        logger.warning("sentence fills the KV cache; cut off at unit %d of %d", unit, count)
    state.sentence_ends.append(state.length)


def resumed(steps: Steps, drawn: SampledFrame) -> FrameStep | None:
    """Sends a sentence its sampled frame; returns its next step, or None at its end."""
    try:
        return steps.send(drawn)
    except StopIteration:
        return None


def frames_of(model: DialogueModel, steps: Steps) -> Iterator[Frame]:
    """Generates the frames of one sentence in a batch of one."""
    asked = next(steps, None)
    while asked is not None:
        [drawn] = model.step([asked])
        asked = resumed(steps, drawn)
        yield drawn.frame


def _draw_plan(
    model: DialogueModel,
    branches: list[tuple[PredictorState, Tensor]],
    generator: torch.Generator,
    added: Plan,
) -> Tensor:
    """Samples the plan `[4]` of a sentence, field by field, and appends it to the dialogue.

    Args:
        model: the predictor.
        branches: the dialogue and its last hidden state `[dim]`; with guidance (arXiv 2207.12598,
            section 3.2) also those of the sentence in an empty dialogue, which is unconditional.
        generator: of the draws.
        added: offset of the sampled bins.
    """
    guidance = 1.0 if len(branches) == 1 else model.config.plan_guidance
    states, hidden = [state for state, _ in branches], torch.stack([end for _, end in branches])
    bins: list[int] = []
    for index in range(len(PLAN_FIELDS)):
        heads = model.plan_head(hidden).view(-1, len(PLAN_FIELDS), NUM_BINS)
        logits = guided(heads[:, index], guidance)[0].float()
        chances = (logits / _PLAN_TEMPERATURE).softmax(-1)
        drawn = pick(chances.cpu(), generator)
        bins.append(min(NUM_BINS - 1, max(0, drawn + round(added[index]))))
        hidden = model.plan_steps(states, index, bins[-1])
    return torch.tensor(bins)
