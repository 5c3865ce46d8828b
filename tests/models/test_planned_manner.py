"""Guidance of the plan by the dialogue, and the gain on its pitch."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from models.engine.slot import Sent, Slot
from models.predictors.dialogue_model import DialogueModel
from models.predictors.generation import Sentence, generate
from models.predictors.plan import NUM_BINS, PLAN_FIELDS, PlanScale
from models.predictors.sampling import SamplingOptions
from models.predictors.sequence import Segment
from models.predictors.steps import PredictorState
from models.predictors.units import units_of_text
from models.speaker import SpeakOptions
from models.tokenizers.semantic import LOG_F0_UNIT
from tests.tiny import STYLE, tiny, tiny_segments, tiny_speaker

UNITS = units_of_text("It was late.")


def talker(**changes: float) -> DialogueModel:
    model = tiny("gpt-talker")
    assert isinstance(model, DialogueModel)
    model.config = dataclasses.replace(model.config, **changes)
    return model


def after(model: DialogueModel, heard: bool) -> PredictorState:
    """A dialogue with one past turn, or none."""
    state = model.init_state()
    if heard:
        model.prefill(state, tiny_segments(units_of_text("Is that so?"), None))
        model.end_turn(state)
    return state


def opened(model: DialogueModel, state: PredictorState, continues: bool = False) -> Sentence:
    """A sentence with its plan sampled, before its first frame."""
    sentence = Sentence(Segment(1, continues, UNITS.fields, torch.zeros(STYLE)))
    generator = torch.Generator().manual_seed(1)
    next(generate(model, state, sentence, SamplingOptions(), generator))
    return sentence


def first_logits(model: DialogueModel, heard: bool) -> torch.Tensor:
    segment = Segment(1, False, UNITS.fields, torch.zeros(STYLE))
    hidden = model.prefill(after(model, heard), [segment])
    return model.plan_head(hidden).view(len(PLAN_FIELDS), NUM_BINS)[0]


def test_the_dialogue_guides_the_plan() -> None:
    model = talker(plan_guidance=1000.0)
    led = (first_logits(model, True) - first_logits(model, False)).argmax()
    sentence = opened(model, after(model, True))
    assert sentence.segment.plan is not None and sentence.segment.plan[0] == led


@pytest.mark.parametrize(("heard", "continues"), [(False, False), (True, True)])
def test_first_turns_and_later_sentences_are_not_guided(heard: bool, continues: bool) -> None:
    plans = []
    for guidance in (1.0, 1000.0):
        model = talker(plan_guidance=guidance)
        plans.append(opened(model, after(model, heard), continues).segment.plan)
    assert torch.equal(*plans)


def test_guidance_leaves_the_cache_as_it_was() -> None:
    lengths = []
    for guidance in (1.0, 3.0):
        model = talker(plan_guidance=guidance)
        state = after(model, True)
        opened(model, state)
        lengths.append((state.length, state.next_position))
    assert lengths[0] == lengths[1]


def test_pitch_inverts_bins() -> None:
    scale = PlanScale((-0.6, 0.0, 0.0, 4.0), (1.0, 1.0, 1.0, 20.0))
    step = 1.6 / (NUM_BINS - 1)
    for pitch in np.linspace(-0.6, 1.0, 23):
        plan = scale.bins(torch.tensor([pitch, 0.5, 0.5, 9.0]))
        assert abs(scale.pitch(plan) - pitch) <= step / 2 + 1e-6


@pytest.mark.parametrize("gain", [0.0, 0.5])
def test_the_decoder_adds_a_share_of_the_planned_pitch(
    gain: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker = tiny_speaker("gpt-talker")
    dialogue = speaker.open_dialogue()
    model = dialogue.model
    model.config = dataclasses.replace(model.config, pitch_gain=gain)
    sent: list[Sent] = []
    segments: list[Segment] = []
    send, collate = Slot.send, model.collate
    monkeypatch.setattr(Slot, "send", lambda slot, new: (sent.extend(new), send(slot, new))[1])
    monkeypatch.setattr(model, "collate", lambda new: (segments.extend(new), collate(new))[1])
    options = SpeakOptions(seed=1, pitch=1.2)
    for _ in speaker.speak(dialogue, "It was late.", speaker.voices["one"], options):
        pass
    plan = segments[-1].plan
    assert plan is not None
    factor = math.exp(gain * LOG_F0_UNIT * model.config.plan_scale.pitch(plan))
    assert {round(delivery.pitch, 6) for _, _, delivery in sent} == {round(1.2 * factor, 6)}
    assert (factor == 1.0) == (gain == 0.0)
