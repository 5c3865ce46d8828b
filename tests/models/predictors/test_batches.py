"""A batch of sentences equals its singles, whichever of them join, leave or are rolled back."""

import random
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from kernels.int8_linear import Int8Linear, with_int8_linears
from models.dialogue_state import DialogueState
from models.predictors.dialogue_model import DialogueModel
from models.predictors.generation import Sentence, Steps, generate, resumed
from models.predictors.gpt_talker import GPTTalker, GPTTalkerConfig
from models.predictors.sampling import SamplingOptions
from models.predictors.sequence import Segment
from models.predictors.steps import Frame, FrameStep
from models.text import SYMBOLS
from tests.tiny import STYLE

OPTIONS = [
    SamplingOptions(),
    SamplingOptions(temperature=0.0),
    SamplingOptions(temperature=0.7, top_k=5, flow_steps=3),
    SamplingOptions(typical_p=0.8, guidance=1.0, duration_spread=1.0),
    SamplingOptions(temperature=0.4, guidance=2.0, flow_steps=1),
]
TOLERANCE = 1e-4  # for latents; codes are equal


@dataclass
class Speech:
    """A sentence being generated in its own dialogue."""

    dialogue: DialogueState
    sentence: Sentence
    steps: Steps
    asked: FrameStep | None
    generator: torch.Generator


def begun(model: DialogueModel, number: int, dialogue: DialogueState | None = None) -> Speech:
    chance = torch.Generator().manual_seed(100 + number)

    def units(count: int) -> Tensor:
        fields = torch.randint(0, 2, (count, 3), generator=chance)
        fields[:, 0] = torch.randint(4, len(SYMBOLS), (count,), generator=chance)
        return fields

    style = torch.randn(STYLE, generator=chance)
    past = [Segment(0, False, units(3 + 2 * turn), style) for turn in range(number % 4)]
    own = Segment(1, False, units(4 + 3 * (number % 3)), style)
    if dialogue is None:
        dialogue = DialogueState(model, model.init_state())
        for segment in past:
            model.prefill(dialogue.predictor, [segment])
            model.end_turn(dialogue.predictor)
    sentence, generator = Sentence(own), torch.Generator().manual_seed(number)
    options = OPTIONS[number % len(OPTIONS)]
    steps = generate(model, dialogue.predictor, sentence, options, generator)
    return Speech(dialogue, sentence, steps, next(steps), generator)


def step(model: DialogueModel, chosen: list[Speech]) -> None:
    asked = [speech.asked for speech in chosen if speech.asked is not None]
    for speech, drawn in zip(chosen, model.step(asked), strict=True):
        speech.asked = resumed(speech.steps, drawn)


def alone(model: DialogueModel, number: int) -> Speech:
    speech = begun(model, number)
    while speech.asked is not None:
        step(model, [speech])
    return speech


def check_same(speech: Speech, expected: Speech) -> None:
    assert speech.sentence.pointer == expected.sentence.pointer
    assert_frames(speech.sentence.frames, expected.sentence.frames)
    assert torch.equal(speech.generator.get_state(), expected.generator.get_state())
    mine, other = speech.dialogue.predictor, expected.dialogue.predictor
    assert (mine.length, mine.next_position) == (other.length, other.next_position)
    assert (mine.turn_ends, mine.sentence_ends) == (other.turn_ends, other.sentence_ends)
    for cache, same in zip(mine.past, other.past, strict=True):
        kept = slice(0, cache.length)
        loose = 1e-3 if cache.values.dtype == torch.float32 else 0.05
        difference = (cache.values[:, :, kept] - same.values[:, :, kept]).float().norm()
        assert difference <= loose * same.values[:, :, kept].float().norm()


def assert_frames(frames: list[Frame], expected: list[Frame]) -> None:
    assert len(frames) == len(expected)
    for frame, other in zip(frames, expected, strict=True):
        if isinstance(frame, Tensor):
            torch.testing.assert_close(frame, other, atol=TOLERANCE, rtol=TOLERANCE)
        else:
            assert frame == other


@pytest.fixture
def small() -> GPTTalker:
    """A model with int8 weights, as the bundle runs on a CPU."""
    torch.manual_seed(1)
    sizes = {"dim": 32, "depth": 2, "num_heads": 2, "ffn_dim": 64, "unit_depth": 1}
    config = GPTTalkerConfig(levels=(4, 4), style_dim=STYLE, max_positions=200, **sizes)
    model = GPTTalker(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.data *= 6.0
    assert isinstance(with_int8_linears(model).advance_head, Int8Linear)
    return model


@pytest.mark.parametrize("count", [2, 3, 5, 8, 11])
def test_batch_equals_singles(talker: DialogueModel, count: int) -> None:
    speeches = [begun(talker, number) for number in range(count)]
    while running := [speech for speech in speeches if speech.asked is not None]:
        step(talker, running)
    for number, speech in enumerate(speeches):
        check_same(speech, alone(talker, number))


@pytest.mark.parametrize("seed", range(5))
def test_sentences_join_and_leave_batches_in_any_order(talker: DialogueModel, seed: int) -> None:
    """Each step batches a random subset of the running sentences, in random order."""
    chance = random.Random(seed)
    waiting, speeches, running = list(range(7)), dict[int, Speech](), list[int]()
    chance.shuffle(waiting)
    while waiting or running:
        if waiting and (not running or chance.random() < 0.1):
            number = waiting.pop()
            speeches[number] = begun(talker, number)
            running.append(number)
        chosen = chance.sample(running, chance.randint(1, len(running)))
        step(talker, [speeches[number] for number in chosen])
        running = [number for number in running if speeches[number].asked is not None]
    for number, speech in speeches.items():
        check_same(speech, alone(talker, number))


@pytest.mark.parametrize("after", [1, 2, 6])
def test_rolling_one_dialogue_back_leaves_the_others_unchanged(
    talker: DialogueModel, after: int
) -> None:
    speeches = [begun(talker, number) for number in range(3)]
    dialogue = DialogueState(talker, talker.init_state())
    past = Segment(0, False, speeches[1].sentence.segment.units, torch.zeros(STYLE))
    talker.prefill(dialogue.predictor, [past])
    mark = dialogue.mark()
    speeches[1] = begun(talker, 1, dialogue)
    for _ in range(after):
        if running := [speech for speech in speeches if speech.asked is not None]:
            step(talker, running)
    assert dialogue.return_to(mark)
    speeches[1] = begun(talker, 1, dialogue)
    while running := [speech for speech in speeches if speech.asked is not None]:
        step(talker, running)
    for number in (0, 2):
        check_same(speeches[number], alone(talker, number))
    dialogue.return_to(mark)
    again = begun(talker, 1, dialogue)
    while again.asked is not None:
        step(talker, [again])
    assert_frames(again.sentence.frames, speeches[1].sentence.frames)


@pytest.mark.parametrize("count", [2, 5, 8])
def test_int8_hidden_states_agree(small: GPTTalker, count: int) -> None:
    """The two int8 kernels round differently, so a code in a thousand may differ."""
    singles = [begun(small, number) for number in range(count)]
    batch = [begun(small, number) for number in range(count)]
    conditions = [type(s.asked.condition).joined([s.asked.condition]) for s in singles]
    one = [small.frame_steps([s.asked], t)[0] for s, t in zip(singles, conditions, strict=True)]
    joined = type(batch[0].asked.condition).joined([s.asked.condition for s in batch])
    together = small.frame_steps([s.asked for s in batch], joined)
    torch.testing.assert_close(together, torch.stack(one), atol=1e-4, rtol=1e-4)
    assert [s.dialogue.predictor.length for s in batch] == [
        s.dialogue.predictor.length for s in singles
    ]


def test_int8_batch_equals_singles(small: GPTTalker) -> None:
    speeches = [begun(small, number) for number in range(6)]
    while running := [speech for speech in speeches if speech.asked is not None]:
        step(small, running)
    for number, speech in enumerate(speeches):
        check_same(speech, alone(small, number))
