"""All predictors: training and inference build the same sequence; the cache serves a dialogue."""

import dataclasses
import itertools

import pytest
import torch

from data.limits import MAX_PAST_TURNS
from models.predictors.dialogue_model import DialogueModel
from models.predictors.sequence import AUDIO, CODE, MAX_ADVANCE, PLAN, TURN, UNIT, Segment
from models.predictors.units import units_around
from tests.models.predictors.steps import stepped


def hidden_of(talker: DialogueModel, segments: list[Segment]) -> torch.Tensor:
    return talker(talker.read([segments]).embedded)[0]


def test_training_and_inference_build_the_same_sequence(
    talker: DialogueModel, segments: list[Segment]
) -> None:
    """Frame-by-frame inference gives the hidden states of the training sequence."""
    whole = hidden_of(talker, segments)
    rows = talker.read([segments])
    positions, frames = rows.positions, rows.frames
    state = talker.init_state()
    talker.prefill(state, segments[:2])
    last = segments[2]
    bare = Segment(last.speaker, last.continues, last.units, last.style)
    hidden = [talker.prefill(state, [bare])]
    for field, value in enumerate(last.plan.tolist()):
        hidden.append(talker.plan_steps([state], field, value)[0])
    at_pointer = talker.at_pointer(talker.encode_units(last.units))
    manner = talker.manner(last.plan, last.style)
    around = units_around(last.units)
    before, age = None, 0
    sound = last.frames.values.tolist() if frames is None else frames[-len(last.frames) :]
    for frame, heard in enumerate(sound):
        unit = int(last.pointer[frame])
        age = age + 1 if frame and unit == int(last.pointer[frame - 1]) else 0
        condition = talker.frame_condition(age, manner, around[unit])
        hidden.append(stepped(talker, state, before, at_pointer[unit], condition))
        before = heard
        for name, values in vars(rows.condition).items():
            in_training = values[0, frame - len(sound)]
            torch.testing.assert_close(getattr(condition, name), in_training, atol=1e-4, rtol=1e-3)
    from_audio = int((positions.kind[0] == AUDIO).nonzero()[-1])
    torch.testing.assert_close(torch.stack(hidden), whole[from_audio:], atol=1e-4, rtol=1e-3)


def test_chunked_prefill_equals_the_whole(talker: DialogueModel, segments: list[Segment]) -> None:
    state = talker.init_state()
    for segment in segments:
        last = talker.prefill(state, [segment])
    torch.testing.assert_close(last, hidden_of(talker, segments)[-1], atol=1e-4, rtol=1e-3)


def test_order_aabb(
    talker: DialogueModel, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order AABB too, training and inference build the same sequence."""
    monkeypatch.setattr(talker, "config", dataclasses.replace(talker.config, order="AABB"))
    last = dataclasses.replace(segments[2], continues=False)
    segments = [*segments[:2], last]
    positions = talker.read([segments]).positions
    kinds = [int(kind) for kind, _ in itertools.groupby(positions.kind[0].tolist())]
    assert kinds[:5] == [TURN, UNIT, TURN, UNIT, AUDIO]
    assert kinds[-5:] == [TURN, UNIT, AUDIO, PLAN, CODE]
    targets = positions.code_target[positions.code_target >= 0]
    assert len(targets) == sum(len(s.frames) for s in segments if s.frames is not None)
    bare = Segment(last.speaker, last.continues, last.units, last.style)
    state = talker.init_state()
    talker.prefill(state, segments[:2], all_past=True)
    hidden = talker.prefill(state, [bare])
    from_audio = int((positions.kind[0] == AUDIO).nonzero()[-1])
    whole = hidden_of(talker, segments)
    torch.testing.assert_close(hidden, whole[from_audio], atol=1e-4, rtol=1e-3)


def test_is_causal(talker: DialogueModel, segments: list[Segment]) -> None:
    embedded = talker.read([segments]).embedded.detach().requires_grad_()
    talker(embedded)[0, 20, 0].backward()
    assert embedded.grad[0, 21:].abs().max() == 0
    assert embedded.grad[0, 3].abs().max() > 0


def test_targets_follow_the_pointer(talker: DialogueModel, segments: list[Segment]) -> None:
    rows = talker.read([segments])
    positions, frames = rows.positions, rows.frames
    at_code = positions.kind == CODE
    expected = torch.cat([s.frames.values for s in segments if s.frames is not None])
    targets = positions.code_target[at_code]
    torch.testing.assert_close(targets if frames is None else frames[targets], expected)
    advances = positions.advance_target[at_code]
    assert advances.min() >= 0 and advances.max() <= MAX_ADVANCE
    # The advances of every segment end exactly one unit past its text.
    assert int(advances[:15].sum()) == len(segments[1].units)
    assert (positions.code_target[~at_code] == -1).all()


def test_past_audio_affects_hidden_states(talker: DialogueModel, segments: list[Segment]) -> None:
    backwards = type(segments[1].frames)(segments[1].frames.values.flip(0))
    other = dataclasses.replace(segments[1], frames=backwards)
    same_end = [segments[0], other, segments[2]]
    assert not torch.allclose(hidden_of(talker, same_end)[-1], hidden_of(talker, segments)[-1])


def test_full_window_evicts_the_oldest_turns(
    talker: DialogueModel, segments: list[Segment]
) -> None:
    state = talker.init_state()
    for _ in range(40):
        talker.prefill(state, segments[1:2])
        talker.end_turn(state)
    length = segments[1].num_positions
    assert state.length <= talker.config.max_positions
    assert state.length == min(MAX_PAST_TURNS, talker.config.max_positions // length) * length
    assert state.turn_ends[-1] == state.length
    assert state.next_position == 40 * length
    assert state.past[0].values.shape[2] < 4 * talker.config.max_positions


def test_history_is_limited_to_the_trained_number_of_turns(
    talker: DialogueModel, segments: list[Segment], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talker, "config", dataclasses.replace(talker.config, max_positions=2000))
    state = talker.init_state()
    for _ in range(MAX_PAST_TURNS + 2):
        talker.prefill(state, segments[1:2])
        talker.end_turn(state)
    assert state.length == MAX_PAST_TURNS * segments[1].num_positions


def test_cache_never_grows(talker: DialogueModel, segments: list[Segment]) -> None:
    """The oldest turns are evicted even within a turn that never ends."""
    state = talker.init_state()
    room = state.past[0].values.shape[2]
    for _ in range(30):
        talker.prefill(state, segments[1:2])
        state.turn_ends.append(state.length)
    for _ in range(30):
        talker.prefill(state, segments[2:3])
        state.sentence_ends.append(state.length)
    assert state.length <= talker.capacity == room == state.past[0].values.shape[2]
    assert state.turn_ends == []
    talker.make_room(state)
    assert 0 < state.length <= talker.config.max_positions
    assert state.sentence_ends[-1] == state.length


def test_losses_fall_when_trained(talker: DialogueModel, segments: list[Segment]) -> None:
    talker.train().requires_grad_(True)
    optimizer = torch.optim.Adam(talker.parameters(), 1e-2)
    totals = []
    for _ in range(60):
        rows = talker.read([segments])
        what = rows.positions if rows.frames is None else rows
        losses = talker.losses(talker(rows.embedded), what)
        optimizer.zero_grad()
        total = sum(vars(losses).values())
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    parts = vars(losses)
    assert totals[-1] < (0.6 if "flow" in parts else 0.3) * totals[0]
    assert all(torch.isfinite(part) for part in parts.values())
