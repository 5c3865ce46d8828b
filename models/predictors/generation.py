"""One sentence, frame by frame: the manner first, then sound while the pointer moves on."""

import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.delivery.delivery import PLAIN, Plan
from models.guidance import led
from models.predictors.dialogue_model import DialogueModel
from models.predictors.plan import NUM_BINS, PLAN_FIELDS
from models.predictors.sampling import SamplingOptions
from models.predictors.sequence import MAX_ADVANCE, Segment
from models.predictors.steps import Frame, FrameDrawn, FrameStep, PredictorState
from models.predictors.units import MARKS, units_around

logger = logging.getLogger(__name__)

MAX_PHONE_FRAMES = 12  # 480 ms: no phone of a sane reply is longer
MAX_PAUSE_FRAMES = 25
MAX_UNITS_A_FRAME = 1.1  # 27 phones a second: nobody speaks faster
HEAD_START_UNITS = 6
Steps = Generator[FrameStep, FrameDrawn, None]

_PLAN_TEMPERATURE = 0.25  # near that of codes: a rare manner is heard as a wrong one


@dataclass
class Sentence:
    """What is being said: the segment, and what has come of it so far."""

    segment: Segment
    frames: list[Frame] = field(default_factory=list)
    pointer: list[int] = field(default_factory=list)
    forced: int = 0  # how often a guard moved a standing pointer on, or held a running one


class DurationSampler:
    """How long the pointer stays at a unit: until the chance that it would still be there has
    fallen below a threshold, drawn once.

    With a threshold from all of 0 to 1 (`spread` 1) this is how long it stays when each frame's
    advance is drawn by itself. A narrower range around a half cuts off what is unusually short or
    long, and leaves the median where it is: a code is drawn with care for the like reason.
    """

    def __init__(self, spread: float, generator: torch.Generator) -> None:
        self._spread = spread
        chance = float(torch.rand(1, generator=generator))
        self._threshold = 0.5 + spread * (chance - 0.5)
        self._survival = 1.0

    def end(self, chances: Tensor, generator: torch.Generator) -> int:
        """By how much the pointer advances after one more frame, 0 if it stays.

        Args:
            chances: of each advance, `[MAX_ADVANCE + 1]`.
            generator: of the draw, which the spread sharpens, where it goes.
        """
        self._survival *= float(chances[0])
        if self._survival > self._threshold:
            return 0
        going = chances[1:].clamp_min(1e-12).log() / max(self._spread, 1e-3)
        return 1 + int(torch.multinomial(going.softmax(-1), 1, generator=generator))


def generate(
    model: DialogueModel,
    state: PredictorState,
    sentence: Sentence,
    options: SamplingOptions,
    generator: torch.Generator,
    plan: Plan = PLAIN,
) -> Steps:
    """Speaks one sentence on top of the dialogue in `state`, which it extends; `plan` is added to
    the bins that are drawn for its manner.

    Whoever runs it makes its steps, and may make those of many sentences at once
    (`DialogueModel.step`). `sentence` has one frame more after each. It ends when the pointer
    leaves the text, which it must: a pointer that stands too long is moved on, and one that runs
    through the text is held. A sentence that fills the cache by itself ends there.

    Long because one sentence has one state: pointer, age and draws change together.
    """
    segment = sentence.segment
    first = state.next_position
    texts = model.encode_units(segment.units)
    hidden = model.prefill(state, [segment], texts[None])
    # Later sentences of a turn condition on the first, which is in the cache.
    answers = bool(state.turn_ends) and not segment.continues and model.config.plan_guidance != 1
    alone = _alone(model, segment, texts) if answers else None
    segment.plan = _draw_plan(model, (state, hidden), alone, generator, plan)
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
        told = model.told(age, manner, around[unit])
        drawn = yield FrameStep(
            state, frame, at_pointer[unit], told, options, generator, sentence.frames
        )
        frame = drawn.frame
        sentence.frames.append(frame)
        sentence.pointer.append(unit)
        advance = stay.end(drawn.chances, generator)
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
        logger.warning("a sentence was left at unit %d of %d: it fills the window", unit, count)
    state.sentence_ends.append(state.length)


def resumed(steps: Steps, drawn: FrameDrawn) -> FrameStep | None:
    """A sentence's next step after the frame that it asked for; None: it is over."""
    try:
        return steps.send(drawn)
    except StopIteration:
        return None


def frames_of(model: DialogueModel, steps: Steps) -> Iterator[Frame]:
    """The frames of one sentence, stepped alone."""
    asked = next(steps, None)
    while asked is not None:
        [drawn] = model.step([asked])
        asked = resumed(steps, drawn)
        yield drawn.frame


_Opened = tuple[PredictorState, Tensor]  # a dialogue and its last hidden state `[dim]`


def _alone(model: DialogueModel, segment: Segment, texts: Tensor) -> _Opened:
    """Prefills a sentence into an empty dialogue: the unconditional branch of guidance."""
    state = model.init_state(texts.device)
    return state, model.prefill(state, [segment], texts[None])


def _draw_plan(
    model: DialogueModel,
    opened: _Opened,
    alone: _Opened | None,
    generator: torch.Generator,
    added: Plan,
) -> Tensor:
    """Samples the plan `[4]` of a sentence, field by field, and appends it to the dialogue.

    With `alone` the logits are guided by the dialogue (arXiv 2207.12598, section 3.2).
    """
    bins: list[int] = []
    ways = [opened, alone] if alone is not None else [opened]
    states, hidden = [state for state, _ in ways], [end for _, end in ways]
    for index in range(len(PLAN_FIELDS)):
        each = [model.plan_head(end).view(len(PLAN_FIELDS), NUM_BINS)[index] for end in hidden]
        guidance = model.config.plan_guidance if alone is not None else 1.0
        chances = (led(torch.stack(each), guidance)[0].float() / _PLAN_TEMPERATURE).softmax(-1)
        drawn = int(torch.multinomial(chances.cpu(), 1, generator=generator))
        bins.append(min(NUM_BINS - 1, max(0, drawn + round(added[index]))))
        hidden = [model.plan_step(state, index, bins[-1]) for state in states]
    return torch.tensor(bins)
